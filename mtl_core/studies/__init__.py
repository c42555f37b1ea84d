"""Sets of trainings that answer a question: does joint training pay, how many labels does a task need."""
