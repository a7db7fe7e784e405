"""Workers: the loop that takes trials, and what it knows of attempts, of other workers, and of the end of its job."""
