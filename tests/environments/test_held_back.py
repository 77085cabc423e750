"""Who holds another package below its newest release."""

from tests.environments.held_back import holders

NEWEST = {"NumPy": "2.5.5", "protobuf": "7.36.2"}


def test_an_upper_bound_below_the_newest_release_is_named():
    requirements = {"one": ["numpy<2.5"], "two": ["numpy>=2"], "three": ["Proto_buf<9", "protobuf==6.*", "other<1"]}
    assert holders(NEWEST, requirements) == [
        "one requires numpy<2.5, and 2.5.5 is the newest release",
        "three requires protobuf==6.*, and 7.36.2 is the newest release",
    ]


def test_requirements_of_extras_and_of_other_systems_hold_nothing():
    requirements = {"one": ['numpy<2; extra == "old"', 'numpy<2; sys_platform == "none"', "protobuf"]}
    assert holders(NEWEST, requirements) == []


def test_an_allowed_holder_is_not_named_and_another_is():
    requirements = {"Pinned_one": ["numpy<2"], "two": ["numpy<2"]}
    found = holders(NEWEST, requirements, {"numpy": ("pinned-one", "a reason")})
    assert found == ["two requires numpy<2, and 2.5.5 is the newest release"]
