def run(hyperparams):
    value = (hyperparams["x"] - 0.1) ** 2 + hyperparams["offset"]
    if hyperparams["id"] == "hpset_00003":
        raise ValueError("no data")
    print(hyperparams["name"])
    return value
