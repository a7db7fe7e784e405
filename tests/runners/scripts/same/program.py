"""Takes its parameters from the command line."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--offset", type=float)
parser.add_argument("--name")
parser.add_argument("id")
options = parser.parse_args()
if options.id == "hpset_00003":
    raise SystemExit("no data")
print(options.name)
print(f"loss = {(options.x - 0.1) ** 2 + options.offset:.17e}")
