"""What customers think: one review of each customer for each product, and the ratings that follow from them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from greenfield_kit.app import Service
from greenfield_kit.cloudevents import CloudEvent
from untold import Untold

service = Service("reviews")
reviews = service.mongodb("ratings")["review"]
untold = Untold(reviews, service.topic("events", needed=False))
service.alongside(untold.telling)
app = service.app()


class Review(BaseModel):
    """What one customer thinks of one product."""

    sku: str = Field(min_length=1, max_length=64, pattern="^[a-z0-9-]+$")
    customer: str = Field(min_length=1, max_length=100)
    stars: int = Field(ge=1, le=5)


class Rating(BaseModel):
    """What all customers think of one product."""

    sku: str
    stars: float
    reviews: int


@app.post("/api/reviews", status_code=201)
async def write(review: Review) -> Review:
    """Keeps a review in place of the customer's last one, and with it the event that tells of it."""
    facts = review.model_dump(include={"customer", "stars"})
    event = CloudEvent(source="reviews", type="review.written", subject=review.sku, data=facts)
    await untold.update(f"{review.sku}/{review.customer}", {"$set": review.model_dump()}, event)
    return review


@app.get("/api/ratings")
async def ratings(sku: Annotated[list[str], Query(max_length=100)]) -> list[Rating]:
    """The rating of each product that has one."""
    grouped = {"_id": "$sku", "stars": {"$avg": "$stars"}, "reviews": {"$sum": 1}}
    found = await reviews.aggregate([{"$match": {"sku": {"$in": sku}}}, {"$group": grouped}])
    return [Rating(sku=row["_id"], stars=row["stars"], reviews=row["reviews"]) async for row in found]
