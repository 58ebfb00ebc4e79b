"""Check words: six words that are equal on every channel if, and only if, the bytes are.

The first six bytes of the SHA-256 of a statement's text, each one word of a fixed list: one chance
in 2^48 that another text has the same ones. People compare them between mail, page and terminal
before they sign.
"""

WORDS = tuple(
    """
    acid acorn actor adult agent alarm album alley amber anchor angle ankle apple apron arena
    arrow aspen atlas attic autumn badge bagel baker bamboo banana barrel basil basket beach
    beaver bench berry birch biscuit bishop blanket blossom bolt bonus bottle bracket bread
    brick bridge bronze broom bucket butter cabin cable cactus camel camera canal candle canoe
    canyon carbon cargo carpet carrot castle cedar cello cement chain chalk cherry chess cinema
    circle clay cliff clock cloud clover cobalt coffee comet copper coral cotton coyote cradle
    crane crater crayon cricket crown crystal cube curtain daisy dancer desert diamond dinner
    doctor dolphin donkey door dragon drum eagle earth easel echo elbow elder elephant ember
    emerald engine falcon farmer feather fence fern ferry fiddle finger flag flame flute forest
    fossil fox frost galaxy garden garlic gate ghost giant ginger glacier globe glove goat gold
    grape gravel guitar hammer harbor harvest hazel helmet heron hill honey hotel iceberg igloo
    island ivory jacket jaguar jasmine jelly jewel judge jungle kettle kitchen kite koala ladder
    lagoon lamp lantern lava leather lemon lentil library lilac lion lizard lobster locket lotus
    magnet mango maple marble meadow medal melon mirror mitten monkey moon mosaic mountain
    muffin museum needle nest nickel novel nutmeg oasis ocean olive onion opera orange orchid
    otter owl oyster paddle palace panda paper parrot peach pebble pelican pencil pepper piano
    pigeon pilot pine planet plum pocket polar pony poplar prairie pumpkin puzzle quartz quilt
    rabbit raccoon radio raven reef ribbon river robin rocket rose ruby saddle saffron salmon
    sandal scarf shadow shell silver
    """.split()  # noqa: SIM905  a list this long reads better as text
)
COUNT = 6
"""Words of one text."""


def check_words(statement: str) -> str:
    """Give the check words of a statement, by its id (the SHA-256 of its text, hex)."""
    return " ".join(WORDS[byte] for byte in bytes.fromhex(statement)[:COUNT])
