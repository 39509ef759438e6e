"""The options of the algorithm: what all devices of a run do alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..algorithms import ALGORITHMS, Algorithm
from ..algorithms.codecs import CODECS, MEMORIES, Codec, Coder
from ..algorithms.mixing import MIXINGS, MixingRule
from ..algorithms.privacy import PRIVACIES, Privacy
from ..config import (
    Converted,
    at_least,
    cannot_travel,
    check_fields,
    declared,
    described,
    described_text,
    one_of,
    option,
    same,
    text_of,
    within,
)
from ..links import LINKS, LinkFunction, Links, Perfect
from ..sharing import Sharing
from ..weights import (
    MATRIX_FILE,
    MISSING_POLICIES,
    REWEIGHT,
    WEIGHTS,
    Custom,
    WeightFunction,
    WeightRule,
    check_matrix,
    needs_samples,
    read_matrix,
)
from .codecs import check_codec
from .columns import check_columns
from .reweight import check_reweight
from .robust import check_mixing
from .symmetry import check_symmetry


@described
@dataclass(frozen=True)
class Options:
    """What devices do in a round, and before the first.

    Names, objects and, for ``weights``, a matrix of shape (K, K) are taken alike; a name
    becomes the object that it stands for. ``matrix`` is the matrix, or None.

    Raises
    ------
    ConfigError
        Names the option, its value, the rule and the valid choices.
    """

    algorithm: Converted[Algorithm, str | Algorithm] = option(
        "p2pl",
        converted=True,
        help="what devices train from, send, and make of what arrives: `p2pl`, "
        "`p2pl-affinity:strength=0.5`, `dsgd`, `exact-diffusion`, `led`, `k-gt`, "
        "`gradient-tracking`, `qg-dsgdm`, `slowmo`, `noloco`, `choco`, `push-sum`, "
        "`eigenvector-correction` (docs/algorithms.md says which when)",
    )
    weights: Converted[WeightRule, str | WeightRule | WeightFunction | ArrayLike] = option(
        "metropolis",
        converted=True,
        help="how a device weighs its neighbors: `metropolis` (doubly stochastic), `uniform`, "
        "`data-size` (row-stochastic), `out-degree` (column-stochastic, for `push-sum`), "
        "`file:matrix.csv` (a matrix of your own)",
    )
    matrix: NDArray[np.float64] | None = None
    consensus_steps: int = option(
        1,
        rule=at_least(0),
        help="S, steps of averaging with neighbors in each round, "
        "w_k += gamma sum_j a_kj (w_j - w_k); with 0 devices never communicate",
    )
    mode: str = option(
        "sync",
        rule=one_of("sync", "async"),
        help="whether devices wait for their neighbors in every round, or each goes on with what "
        "it has: in the swarm each averages with one neighbor drawn at random, S times after each "
        "training, by the clock of `network` and `compute`",
    )
    consensus_gamma: float = option(1.0, rule=within("(0, 1]"), help="gamma, their step size")
    init: str = option(
        "auto",
        rule=one_of("max-norm", "bounded-norm", "seed", "shared", "independent", "auto"),
        help="initial models: the largest of those that devices draw is flooded, the largest that "
        "is plausible, all draw the same one from the run's seed, all start from a common one, "
        "every device keeps what it has drawn, or as is the algorithm's own way",
    )
    max_norm_scope: str = option(
        "model",
        rule=one_of("model", "tensor"),
        help="whether one device's model is flooded, or for each array the largest",
    )
    links: Converted[Links, str | Links | LinkFunction] = option(
        "perfect",
        converted=True,
        help="which links are up when: `perfect`, `periodic:every=5` (every n-th round), "
        "`bernoulli:up=0.5`, `gilbert-elliott:up=0.5,burst=5` (bursts), either with "
        "`,one-way=true` (directions get lost apart from each other), "
        "`churn:away=0.1,absence=5` (devices that come and go, in rounds), "
        "`outage:first=10,last=20,share=0.2` (some are away together); joined by `+`",
    )
    on_missing: str = option(
        "self",
        rule=one_of(*MISSING_POLICIES),
        help="where the weight of a neighbor that did not answer goes: to the device itself, "
        "which keeps symmetric losses doubly stochastic, or to those that answered; `reweight` "
        "works all weights out anew from the links that are up in that step, which devices tell "
        "each other: doubly stochastic too, and quicker where much is lost",
    )
    mixing: Converted[MixingRule, str | MixingRule] = option(
        "weighted",
        converted=True,
        help="how a device mixes what it hears: `weighted` (by its weights), or, where neighbors "
        "may be hostile, `clipped-gossip:share=0.2`, `trimmed-mean:share=0.2`, `median`, "
        "`krum:share=0.2`",
    )
    codec: Converted[Codec, str | Codec] = option(
        "none",
        converted=True,
        help="what is sent of a model: `none` (all of it), `float16`, `bfloat16`, "
        "`int8:block=256`, `low-bit:bits=2`, `top-k:fraction=0.1`, `random-k:fraction=0.1`, "
        "`partial:parts=2,order=rotating`; joined by `+`, each encodes what is left",
    )
    codec_memory: str = option(
        "auto",
        rule=one_of("none", "error-feedback", "public-copies", "auto"),
        help="what becomes of what a codec did not send: it is forgotten, added to the next "
        "message, or sent later to copies that neighbors keep; or as is the algorithm's own way",
    )
    privacy: Converted[Privacy, str | Privacy] = option(
        "none",
        converted=True,
        help="what is done to a trained model before anything of it leaves the device: "
        "`gaussian:clip=1.0,noise=1.1` clips the round's update to a norm and adds noise of so "
        "many times that (docs/privacy.md)",
    )
    shared: Converted[Sharing, str | Iterable[str] | Sharing] = option(
        "*",
        converted=True,
        help="globs on array names, such as `*` or `!head.*`: what is mixed, synchronized and "
        "shown to neighbors; the rest is personal to each device",
    )
    seed: int = option(
        0,
        rule=at_least(0),
        help="fixes all that is drawn (initial models, split, batch order, graph, links): two "
        "runs give the same numbers",
    )

    def __post_init__(self) -> None:
        check_fields(self)
        rule, matrix = _weights(self.weights, self.matrix)
        algorithm = ALGORITHMS.of(self.algorithm)
        links = LINKS.of(self.links, seed=self.seed)
        check_symmetry(algorithm, rule, matrix, self.on_missing, links)
        check_reweight(rule, self.on_missing)
        mixing = MIXINGS.of(self.mixing)
        check_columns(algorithm, rule, self.on_missing, mixing)
        check_mixing(algorithm, mixing)
        made: dict[str, Any] = {"algorithm": algorithm, "weights": rule, "matrix": matrix}
        made["mixing"], made["privacy"] = mixing, PRIVACIES.of(self.privacy)
        made["codec"] = CODECS.of(self.codec)
        made["codec_memory"] = check_codec(algorithm, made["codec"], self.codec_memory)
        made["init"] = algorithm.init if self.init == "auto" else self.init
        made |= {"links": links, "shared": Sharing.of(self.shared)}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def tells_heard(self) -> bool:
        """Whether devices tell each other whom they hear before each consensus step."""
        return self.on_missing == REWEIGHT or self.weights.column_stochastic

    @property
    def may_lose(self) -> bool:
        """Whether messages can get lost."""
        return not isinstance(self.links, Perfect)

    @property
    def coder(self) -> Coder:
        """The codec and its memory."""
        return Coder(self.codec, MEMORIES[self.codec_memory])

    @property
    def needs_samples(self) -> bool:
        """Whether weights may depend on the neighbors' numbers of samples."""
        return needs_samples(self.weights)

    def check_matrix(self, graph: nx.Graph | None, devices: int) -> None:
        """Refuse a weight matrix, where there is one, that does not fit the graph.

        Raises
        ------
        WeightsError
            As `p2pl_flower.weights.check_matrix`.
        """
        if self.matrix is not None:
            check_matrix(self.matrix, graph, n=devices)

    def described(self) -> dict[str, Any]:
        """Return the options as flat values; what has no text is told by its class or name."""
        texts = {
            "algorithm": described_text(self.algorithm, ALGORITHMS),
            "weights": described_text(self.weights, WEIGHTS),
            "links": described_text(self.links, LINKS),
            "mixing": described_text(self.mixing, MIXINGS),
            "codec": described_text(self.codec, CODECS),
            "privacy": described_text(self.privacy, PRIVACIES),
            "shared": self.shared.spec(),
        }
        return {**{name: getattr(self, name) for name in declared(type(self))}, **texts}

    def to_config(self) -> dict[str, str | int | float]:
        """Return the options as flat values that fit into a message to a device.

        Raises
        ------
        ConfigError
            An object is one that a device could not make again: names the option, the object
            and what to do.
        """
        flat = {name: getattr(self, name) for name in declared(type(self))}
        texts = {
            "algorithm": text_of(self.algorithm, ALGORITHMS),
            "weights": text_of(self.weights, WEIGHTS),
            "links": text_of(self.links, LINKS),
            "mixing": text_of(self.mixing, MIXINGS),
            "codec": text_of(self.codec, CODECS),
            "privacy": text_of(self.privacy, PRIVACIES),
            "shared": self.shared.spec(),
        }
        if not same(self.shared, Sharing.of(texts["shared"])):
            raise cannot_travel("shared", self.shared, "it is no Sharing, or a glob has a comma")
        return {**flat, **texts}

    @classmethod
    def from_config(cls, flat: dict[str, Any]) -> Options:
        """Rebuild what `to_config` made; ``matrix`` stays behind."""
        return cls(**{name: flat[name] for name in declared(cls)})


def _weights(
    given: str | WeightRule | WeightFunction | ArrayLike, matrix: NDArray[np.float64] | None
) -> tuple[WeightRule, NDArray[np.float64] | None]:
    if isinstance(given, str) and given.startswith(MATRIX_FILE):
        return Custom(), read_matrix(given)
    if isinstance(given, str | WeightRule) or callable(given):
        return WEIGHTS.of(given), matrix
    return Custom(), check_matrix(given)
