"""What `import mtl_core as mtl` names: trainings, runs, comparisons and checks for notebooks and scripts; the command line stands on it."""
