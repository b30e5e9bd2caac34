"""Who plays in the demo: four real centres and the people of the study."""

import secrets
from dataclasses import dataclass, field

STUDY = {
    "title": "Heart disease across four hospitals",
    "summary": "Which patients referred for chest pain have heart disease? One model from four centres, no rows moved.",
    "aims": "Train a logistic regression on Fed-Heart-Disease by federated averaging and compare it with each "
    "centre alone and with training on pooled rows.",
}
DATASET = "heart disease"


@dataclass(frozen=True)
class Person:
    """Somebody with an account; the password is made for this demo."""

    email: str
    name: str
    role: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))


@dataclass(frozen=True)
class Hospital:
    """A site: `centre` is its name in the data, `node` the name of its node; some have a data steward too."""

    centre: str
    short_name: str
    city: str
    country: str
    admin: Person
    steward: Person | None = None

    @property
    def people(self) -> list[Person]:
        """Who works here."""
        return [self.admin] if self.steward is None else [self.admin, self.steward]

    @property
    def node(self) -> str:
        """Name of the node."""
        return f"{self.short_name}-1"


@dataclass(frozen=True)
class Cast:
    """Everybody."""

    administrator: Person
    investigator: Person
    auditor: Person
    hospitals: tuple[Hospital, ...]

    @property
    def people(self) -> list[Person]:
        """Everybody with an account."""
        return [
            self.administrator,
            self.investigator,
            self.auditor,
            *(person for hospital in self.hospitals for person in hospital.people),
        ]


def make_cast() -> Cast:
    """The demo's people and hospitals, with fresh passwords. Two have stewards: a model's release asks two."""
    return Cast(
        administrator=Person("admin@demo.example", "Demo Administrator", "platform admin"),
        investigator=Person("pi@demo.example", "Demo Investigator", "principal investigator"),
        auditor=Person("auditor@demo.example", "Demo Auditor", "auditor"),
        hospitals=(
            Hospital(
                "Cleveland",
                "cleveland",
                "Cleveland",
                "US",
                _admin("cleveland", "Demo Admin Cleveland"),
                _steward("cleveland", "Demo Steward Cleveland"),
            ),
            Hospital(
                "Hungary",
                "hungary",
                "Budapest",
                "HU",
                _admin("hungary", "Demo Admin Hungary"),
                _steward("hungary", "Demo Steward Hungary"),
            ),
            Hospital("Switzerland", "switzerland", "Zurich", "CH", _admin("switzerland", "Demo Admin Switzerland")),
            Hospital(
                "VA Long Beach",
                "va-long-beach",
                "Long Beach",
                "US",
                _admin("va-long-beach", "Demo Admin VA Long Beach"),
            ),
        ),
    )


def _admin(short_name: str, name: str) -> Person:
    return Person(f"{short_name}@demo.example", name, f"site admin, {short_name}")


def _steward(short_name: str, name: str) -> Person:
    return Person(f"steward-{short_name}@demo.example", name, f"data steward, {short_name}")
