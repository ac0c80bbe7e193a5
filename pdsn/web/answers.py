"""What the server answers, as JSON."""

from __future__ import annotations

from pydantic import BaseModel, Field


class TwoNames(BaseModel):
    """Somebody who seems to be known under two names, which raises the thresholds."""

    run: str = Field(description="name among the people whom the server was trained on")
    name: str = Field(description="name of the enrolled person")


class Status(BaseModel):
    """The server and its store."""

    version: str
    people: int = Field(description="people enrolled")
    photos: int = Field(description="photos of theirs")
    questions: int = Field(description="open questions")
    strategy: str = Field(description="how covered faces are compared")
    fpr: float | None = Field(
        description="share of strangers who may pass for somebody, unless told; null if nobody is enrolled"
    )
    finest_fpr: float | None = Field(description="the smallest share that can be told")
    keeps_crops: bool = Field(description="whether faces of enrolled photos are kept as pictures")
    drawn: bool = Field(description="the run was trained on drawn people, and tells real ones apart badly")
    login: bool = Field(description="whether a token is asked for")
    two_names: list[TwoNames] = Field(
        description="enrolled people who look like somebody whom the server was trained on under another name"
    )


class Named(BaseModel):
    """A person."""

    id: int
    name: str


class Neighbour(Named):
    """A person near to a face."""

    cosine: float = Field(description="to the person's nearest photo, -1 to 1")
    photo: int = Field(description="id of that photo")
    picture: bool = Field(description="whether its face is kept: GET /api/photos/{photo}/picture")


class Face(BaseModel):
    """A face on a photo, and who it is."""

    number: int = Field(description="from left to right, 1 for the first")
    box: list[float] = Field(description="left, top, right, bottom in pixels of the photo, upright")
    probability: float = Field(description="the detector's confidence")
    person: Named | None = Field(description="null if nobody known is near enough")
    cosine: float | None = Field(description="to the nearest person; null if nobody is enrolled")
    threshold: float | None = Field(
        description="the cosine above which the nearest person is named, for what is covered"
    )
    covered: list[str] = Field(description="regions that count as covered and are left out of the comparison")
    covered_share: float = Field(description="share of the face that is covered, 0 to 1")
    near: bool = Field(description="the cosine is near to the threshold, on whichever side")
    nearest: list[Neighbour] = Field(description="up to five people, the nearest first")
    question: int | None = Field(description="id of the open question about this face")
    picture: str | None = Field(
        description="the aligned face, covered pixels tinted, PNG in base64; null unless asked for"
    )


class Identified(BaseModel):
    """The faces of a photo."""

    width: int = Field(description="of the photo in pixels, upright")
    height: int
    fpr: float | None = Field(description="share of strangers who may pass for somebody")
    faces: list[Face]


class PersonSummary(Named):
    """A person of the store."""

    photos: int = Field(description="number of photos")
    added: str = Field(description="when, UTC")


class PeoplePage(BaseModel):
    """Some people of the store, by name."""

    total: int = Field(description="number of all whom the search finds")
    people: list[PersonSummary]


class EnrolledPhoto(BaseModel):
    """A photo of a person."""

    id: int
    source: str = Field(description="what the file was called")
    added: str = Field(description="when, UTC")
    size: float = Field(description="edge of the face in pixels of the photo")
    sharpness: float = Field(description="about 0.3 in focus, refused below 0.04")
    covered: list[str] = Field(description="regions that count as covered")
    notes: list[str] = Field(description="what to know of it")
    picture: bool = Field(description="whether its face is kept: GET /api/photos/{id}/picture")


class PersonDetails(Named):
    """A person with all photos, the oldest first."""

    added: str
    former: list[str] = Field(description="names that the person had before")
    photos: list[EnrolledPhoto]


class Enrolment(BaseModel):
    """What became of a photo that was to be enrolled."""

    outcome: str = Field(description="added, refused, or known: enrolled already")
    reason: str = Field(description="why it was refused, or whose it is")
    warnings: list[str] = Field(description="what to know of a photo that was added")
    doubts: list[str] = Field(
        default=[], description="what speaks against its name, by who was enrolled before"
    )
    person: Named | None
    photo: int | None = Field(description="its id, if it was added")


class OpenQuestion(BaseModel):
    """A face that waits for somebody to say who it is: GET /api/questions/{id}/picture shows it."""

    id: int
    asked: str = Field(description="when, UTC")
    source: str = Field(description="what the photo was called")
    person: Named | None = Field(description="whom it may show")
    photo: int | None = Field(
        description="id of that person's nearest photo, if its face is kept as a picture"
    )
    cosine: float | None
    threshold: float | None
    covered: list[str]


class NewName(BaseModel):
    """A name."""

    name: str = Field(min_length=1, max_length=200)


class Answer(BaseModel):
    """Who the face of a question is."""

    name: str | None = Field(
        default=None, max_length=200, description="null for the person whom the question suggests"
    )
    accept_poor: bool = Field(default=False, description="enrol it even if its quality is too poor")


class MergeInto(BaseModel):
    """The other person."""

    into: int = Field(ge=0, le=2**53, description="id of the person who gets all photos and keeps the name")


class Removed(BaseModel):
    """What was removed."""

    photos: int = Field(description="number of photos")
    person: bool = Field(description="whether the person is gone, too")
