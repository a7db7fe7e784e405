def run(hyperparams):
    return 0.0
