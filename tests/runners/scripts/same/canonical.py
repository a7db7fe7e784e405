def initialize_parameters(default_model="same.txt"):
    return {"x": 100.0, "offset": 0.0}


def run(params):
    value = (params["x"] - 0.1) ** 2 + params["offset"]
    if params["id"] == "hpset_00003":
        raise ValueError("no data")
    print(params["name"])
    return {"val_loss": value}, {}
