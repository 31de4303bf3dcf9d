"""Words by which options, variables and perpetrators are sorted; a stated default that every caller can replace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class OptionWords:
    """Words by which the options of follow-up questions, and questions about harm, are recognised.

    An option belongs to a group if its whole name, or one of the words its name is made of (parts between ``_``), is
    in the list. What belongs to no group is told in the family's `notes` and still counts for "told anyone".

    Parameters
    ----------
    formal, informal
        Whom a child told: services and professionals, or family and friends.
    nobody
        The option "told nobody".
    peers, adults
        Who did it. Peers and adults are never added up in a row of their own.
    harm
        Questions put to the exposed about how bad it was.
    consequences
        Questions about well-being, school and social life.
    support
        Variables about help and support.

    Examples
    --------
    >>> OptionWords().group_of("social_worker", "formal", "informal")
    'formal'
    >>> OptionWords(formal=("imam",)).group_of("teacher", "formal", "informal")
    ''
    """

    formal: tuple[str, ...] = (
        *("teacher", "school", "police", "helpline", "hotline", "worker", "doctor", "nurse", "counsellor", "counselor"),
        *("psychologist", "lawyer", "court", "authority", "authorities", "ngo", "professional"),
    )
    informal: tuple[str, ...] = (
        *("friend", "friends", "sibling", "siblings", "brother", "sister", "mother", "father", "parent", "parents"),
        *("mum", "mom", "dad", "caregiver", "carer", "grandparent", "cousin", "aunt", "uncle", "relative", "family"),
        *("partner", "boyfriend", "girlfriend"),
    )
    nobody: tuple[str, ...] = ("nobody", "no_one", "did_not_disclose", "told_nobody", "told_no_one")
    peers: tuple[str, ...] = ("peer", "peers", "classmate", "schoolmate")
    adults: tuple[str, ...] = ("adult", "adults")
    harm: tuple[str, ...] = (
        *("distress", "upset", "harm", "harmed", "bothered", "scared", "afraid", "severity", "severe"),
    )
    consequences: tuple[str, ...] = (
        *("wellbeing", "well_being", "life_satisfaction", "school_attendance", "school_performance", "school_missed"),
        *("social_life", "friendships", "loneliness", "sleep"),
    )
    support: tuple[str, ...] = ("support", "supported", "help", "helped")

    def group_of(self, name: str, *groups: str) -> str:
        """First of `groups` whose words the name holds; empty where none does."""
        for group in groups:
            if holds_word(name, getattr(self, group)):
                return group
        return ""


def holds_word(name: str, words: Iterable[str]) -> bool:
    """Whether a name is one of the words, or has one of them between its ``_``."""
    plain = name.lower()
    padded = f"_{plain}_"
    return any(plain == word or f"_{word}_" in padded for word in words)
