"""Our Flower engine: P2PL on Flower's Ray simulation."""

from ..clock import main
from .flower import work_of

if __name__ == "__main__":
    main(work_of("p2pl"))
