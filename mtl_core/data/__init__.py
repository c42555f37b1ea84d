"""From a file to numbers: read, checked, mapped to fields, split, stored, tokenised. Needs pyarrow and numpy; never loads torch."""
