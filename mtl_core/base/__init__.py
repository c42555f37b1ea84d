"""What everyone stands on: the workspace, sentences for people and their languages, settings, files."""
