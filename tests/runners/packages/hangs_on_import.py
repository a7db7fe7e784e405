import time

time.sleep(987)
