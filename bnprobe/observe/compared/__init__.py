"""What trainings are compared by."""
