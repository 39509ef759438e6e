"""Flower's FedAvg on its Ray simulation, with the same clients."""

from ..clock import main
from .flower import work_of

if __name__ == "__main__":
    main(work_of("fedavg"))
