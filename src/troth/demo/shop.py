"""What the demo shop sells, and what its customers are called and how they behave."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

CHANNELS = ("web", "web", "app", "shop")
PLATFORMS = ("ios", "android")
NETWORKS = ("instagram", "facebook", "tiktok", "x")
COUNTRIES = {
    "HU": ("hu", ("Budapest", "Debrecen", "Szeged", "Pécs", "Győr")),
    "AT": ("de", ("Wien", "Graz", "Linz")),
    "DE": ("de", ("Berlin", "Hamburg", "München", "Köln")),
    "FR": ("fr", ("Paris", "Lyon", "Lille")),
    "IT": ("it", ("Roma", "Milano", "Torino")),
}
FIRST_NAMES = (
    "Ada", "Anna", "Bence", "Clara", "Dávid", "Dora", "Elias", "Emma", "Eszter", "Felix", "Giulia", "Hanna", "Hugo",
    "Ida", "Jonas", "Julia", "Kata", "Lea", "Leon", "Luca", "Manon", "Marco", "Máté", "Mia", "Nora", "Oskar", "Paul",
    "Réka", "Sofia", "Theo", "Zoé", "Zsófia",
)  # fmt: skip
LAST_NAMES = (
    "Bauer", "Bianchi", "Dubois", "Farkas", "Fischer", "Gruber", "Horváth", "Kiss", "Kovács", "Leroy", "Martin",
    "Meyer", "Molnár", "Moreau", "Nagy", "Rossi", "Russo", "Schmidt", "Szabó", "Tóth", "Varga", "Wagner", "Weber",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    name: str
    category: str
    price: Decimal  # two places


@dataclass(frozen=True, slots=True)
class Persona:
    """How a kind of customer behaves; shares are chances from 0 to 1."""

    share: float  # of all customers
    days_between: float  # two purchases, on average
    lines_more: float  # chance of one more line in a basket
    reviews: float
    shares: float  # on social networks
    has_app: float


PERSONAS = (
    Persona(share=0.34, days_between=210, lines_more=0.25, reviews=0.04, shares=0.01, has_app=0.08),  # came once
    Persona(share=0.36, days_between=45, lines_more=0.40, reviews=0.10, shares=0.03, has_app=0.30),  # occasional
    Persona(share=0.22, days_between=18, lines_more=0.50, reviews=0.18, shares=0.05, has_app=0.60),  # regular
    Persona(share=0.08, days_between=7, lines_more=0.60, reviews=0.30, shares=0.10, has_app=0.90),  # devoted
)

_SHELVES = {
    "electronics": "Headphones 79.90, Power bank 34.50, Desk lamp 49.00, Smart watch 189.00, Keyboard 64.95",
    "books": "Crime novel 12.99, Cookbook 29.90, Travel guide 18.50, Picture book 14.90, Poetry 11.00",
    "home": "Coffee mug 8.90, Linen throw 59.00, Vase 24.50, Candle 15.90, Chopping board 32.00, Wall clock 39.90",
    "fashion": "T-shirt 19.90, Jumper 69.00, Jeans 79.00, Scarf 29.90, Trainers 99.00, Rain jacket 129.00",
    "beauty": "Hand cream 9.50, Shampoo 12.90, Perfume 74.00, Soap 6.50, Sun cream 17.90",
    "garden": "Seeds 3.90, Watering can 21.00, Gloves 11.50, Herb pot 16.90, Secateurs 27.50",
}


def _stock(category: str, shelf: str) -> list[Product]:
    priced = (item.rsplit(" ", 1) for item in shelf.split(", "))
    return [
        Product(f"{category[:2].upper()}-{number:03}", name, category, Decimal(price))
        for number, (name, price) in enumerate(priced, 101)
    ]


PRODUCTS = {category: _stock(category, shelf) for category, shelf in _SHELVES.items()}
