"""The label of AI on pictures (C-40, GB 45438-2025 Appendix E): who says it."""

from uuid import UUID

from content.house import House

MADE_BY_AI = "1"


def label_for(house: House, file_id: UUID, came_with: dict[str, str]) -> dict[str, str]:
    """The label of a picture made by AI; what an earlier maker wrote stays, we pass it on."""
    return {
        "Label": came_with.get("Label") or MADE_BY_AI,
        "ContentProducer": came_with.get("ContentProducer") or house.name,
        "ProduceID": came_with.get("ProduceID") or file_id.hex,
        "ReservedCode1": came_with.get("ReservedCode1", ""),
        "ContentPropagator": house.name,
        "PropagateID": file_id.hex,
        "ReservedCode2": came_with.get("ReservedCode2", ""),
    }


def is_ours(label: dict[str, str], house: House) -> bool:
    """Whether this picture already carries our own mark and label."""
    return bool(label) and label.get("ContentPropagator") == house.name
