"""A torch whose `cuda.is_available()` some package called when it was imported."""


class cuda:
    @staticmethod
    def _is_in_bad_fork():
        return True


def manual_seed(seed):
    pass


def set_num_threads(number):
    pass
