"""What is known of Slurm: its commands and their answers, the jobs of an experiment, and the script that starts them.

Nothing here knows of trials. All is asked through the commands on PATH; no library of Slurm's is linked, and no port is
opened.
"""
