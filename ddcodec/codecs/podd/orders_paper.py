"""The class orders printed in the PoDD paper, row by row, in the names of the data sets."""

from __future__ import annotations

# Figure 8: the poster of 5 x 2 classes. The paper's Plane, Car and Boat are the data set's
# airplane, automobile and ship.
CIFAR10 = """
truck airplane bird deer cat
automobile ship frog horse dog
"""

# Figure 7: the output of PoCO, in the names of the data set. Three are misprints in the paper:
# "Plane" is plain (CIFAR-100 has no plane), "Cap" is cup, "Sweet Paper" is sweet_pepper.
CIFAR100 = """
apple rose road sea shark dolphin dinosaur crocodile lizard leopard
man woman bed bus whale elephant camel turtle lobster caterpillar
boy girl couch chair plate mouse lion crab rabbit squirrel
baby tank tractor table bowl house tiger spider kangaroo seal
ray train motorcycle bridge cup lamp butterfly orchid skunk otter
can plain bicycle cattle clock rocket sunflower palm_tree pine_tree lawn_mower
snake mountain bottle castle cloud trout tulip oak_tree willow_tree streetcar
worm wolf bear forest mushroom poppy telephone maple_tree flatfish skyscraper
snail fox beaver hamster shrew sweet_pepper wardrobe aquarium_fish cockroach orange
beetle bee raccoon possum porcupine pickup_truck television keyboard pear chimpanzee
"""


def printed_order(classes: tuple[str, ...]) -> list[list[str]] | None:
    """Return the printed rows for exactly these classes (in any order), or None."""
    for table in (CIFAR10, CIFAR100):
        rows = [line.split() for line in table.strip().splitlines()]
        if sorted(name for row in rows for name in row) == sorted(classes):
            return rows
    return None
