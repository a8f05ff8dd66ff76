"""What is permitted, fit, due, late, held, declared and normal, and the verdicts: pure decisions by reference data."""
