def initialize_parameters(default_model=None):
    return {"x": 0}


def run(params):
    return {"val_loss": params["x"] ** 2, "mse": 0.5}, {"mse": 0.75}
