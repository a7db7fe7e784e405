"""What users see of the trials: rows, made from journals and claims, and how they are shown."""
