"""What the requests of `open_ended` ask, and what can be answered: options by topic, the fitting first.

A slot in braces is filled: {option} or {thing} (an option with an article and a look) and {also} make the
meaning, name, topic and pronouns ({she} {obj} {her}) come from the request, all others are wording.
"""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of request.

    Attributes:
        asks: the prompt.
        says: styles of answering.
        topics: options of each topic.
        also: options of a second part of the meaning, the same for all topics.
    """

    asks: str
    says: tuple[str, ...]
    topics: dict[str, tuple[str, ...]]
    also: tuple[tuple[str, ...], ...] = ()


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(","))


FILLERS = {
    "look": _listed("little, big, red, blue, shiny, old, new, soft"),
    "colour": _listed("red, blue, yellow, green, pink"),
    "day": _listed("sunny, windy, rainy, cold, foggy"),
    "time": _listed("morning, afternoon, evening"),
    "who": _listed("Lily, Tom, Anna, Ben, Mia, Max"),
    "friend": _listed("a friend, the dog, Grandma, Dad, Mom"),
    "meal": _listed("breakfast, lunch, dinner, bedtime"),
    "when": _listed("this morning, last night, after lunch, at the park, before school"),
    "feel": _listed("soft, bright, quiet, slow, cold"),
    "feels": _listed("kind, shy, wild, strange, sleepy"),
    "trait": _listed("kind, shy, brave, clever, funny, grumpy"),
    "habit": _listed("""sings at night, bakes small cakes, counts the stars, tells long stories, never
        goes out"""),
}  # fmt: skip

KINDS = {
    "gift": Kind(
        "Name a gift for {name}, who likes {topic}.",
        (
            "Give {obj} {thing}, tied with a {colour} ribbon.",
            "{thing} in {colour} paper would make {obj} happy.",
            "I would choose {thing} with a {colour} bow for {name}.",
            "How about {thing} in a {colour} box?",
        ),
        {
            "the garden": _listed("""watering can, flower pot, spade, rose bush, straw hat, bird house,
                rake, bench, basket, scarecrow"""),
            "the sea": _listed("""boat, shell, bucket, fishing rod, kite, paddle, swimming ring, sail,
                anchor, map"""),
            "music": _listed("""drum, flute, guitar, piano, whistle, violin, bell, trumpet, music box,
                rattle"""),
            "cooking": _listed("""apron, pan, cook book, spoon, bowl, kettle, rolling pin, oven glove,
                knife, cake tin"""),
            "painting": _listed("""brush, paint box, pencil, easel, sketch book, crayon, frame, apron,
                canvas, chalk box"""),
            "winter": _listed("""scarf, sled, hat, coat, blanket, mug, pair of gloves, lantern, snow
                shovel, sweater"""),
        },
    ),
    "likeness": Kind(
        "What is {topic} like?",
        (
            "It is like {thing}, {feel} and {feels}.",
            "{topic} is {thing} that looks {feel} and {feels}.",
            "Think of {thing}, so {feel} and so {feels}.",
            "I see {thing} when I look at {topic}, {feel} and {feels}.",
        ),
        {
            "the moon": _listed("coin, lamp, ball, cookie, boat, plate, pearl, balloon, mirror, eye"),
            "the wind": _listed("horse, broom, whistle, song, ghost, train, bird, hand, thief, flute"),
            "the snow": _listed("blanket, feather, pillow, sheep, cake, curtain, coat, page, cloud, dream"),
            "the night": _listed("blanket, cave, coat, ocean, cat, curtain, tent, secret, forest, song"),
            "the sea": _listed("mirror, giant, blanket, field, lion, road, drum, dream, mother, wall"),
            "time": _listed("river, clock, thief, road, arrow, wheel, train, bird, weaver, candle"),
        },
    ),
    "day": Kind(
        "What can {name} do on a {topic} day?",
        (
            "{she} can {option} with {friend} until {meal}.",
            "{name} could {option} before {meal} with {friend}.",
            "Let {obj} {option}, and {friend} can help until {meal}.",
            "Why not {option} with {friend} and stay till {meal}?",
        ),
        {
            "rainy": _listed("""read a book, jump in puddles, bake cookies, play cards, build a fort,
                draw pictures, sing songs, paint stones, watch snails, sew a puppet"""),
            "snowy": _listed("""build a snowman, ride a sled, throw snowballs, drink cocoa, feed the
                birds, skate, dig a cave, catch snowflakes, knit a scarf, follow tracks"""),
            "windy": _listed("""fly a kite, sail a boat, chase leaves, hang a bell, run down the hill,
                watch clouds, blow bubbles, make a windmill, dry the sheets, play the flute"""),
            "hot": _listed("""swim, eat ice cream, sit in the shade, drink lemonade, water the plants,
                go to the lake, wash the dog, sleep in a hammock, catch butterflies, make a fan"""),
            "foggy": _listed("""tell ghost stories, light a candle, stay in bed, bake bread, listen to
                the ships, play the piano, play hide and seek, look for the house, draw a map, drink tea"""),
            "busy": _listed("""clean the room, help in the shop, feed the hens, wash the dishes, carry
                the bags, rake the leaves, fix the bike, take a nap, make a list, sweep the floor"""),
        },
    ),
    "reason": Kind(
        "Why is {name} so {topic}?",
        (
            "{she} {option} {when}, and {friend} saw it.",
            "Because {she} {option} {when}, said {friend}.",
            "{name} {option} {when}, so {friend} told me.",
            "I think {she} {option} {when}. Ask {friend}!",
        ),
        {
            "sad": _listed("""lost {her} teddy, broke {her} boat, missed {her} grandma, spilled the
                milk, fell off the swing, tore {her} kite, had no one to play with, forgot {her} lunch,
                dropped the cake, hurt {her} knee"""),
            "happy": _listed("""got a puppy, won a prize, found {her} ring, ate a big cake, met a new
                friend, learned to swim, saw a rainbow, went to the zoo, had a birthday, caught a fish"""),
            "scared": _listed("""saw a spider, heard a noise, had a bad dream, got lost, met a big dog,
                walked in the dark, climbed too high, saw a shadow, heard thunder, fell in the lake"""),
            "proud": _listed("""won the race, read a whole book, tied {her} shoes, baked a pie, helped a
                friend, learned to ride a bike, built a tower, sang on the stage, fixed the clock, saved
                a kitten"""),
            "angry": _listed("""had to go to bed, lost the game, broke {her} toy, could not find {her}
                hat, got no cake, had to share, missed the bus, got wet, was called a baby, spilled the
                paint"""),
            "tired": _listed("""ran all day, did not sleep, climbed the hill, swam too long, played
                football, carried wood, danced for hours, worked in the garden, rode {her} bike, read
                all night"""),
        },
    ),
    "dweller": Kind(
        "Who could live in {topic}?",
        (
            "A {trait} {option} who {habit}.",
            "Perhaps a {trait} {option} that {habit}.",
            "I think a {trait} {option} lives there and {habit}.",
            "In {topic} there is a {trait} {option} who {habit}.",
        ),
        {
            "the castle": _listed("king, princess, ghost, knight, dragon, queen, witch, cat, giant, cook"),
            "the cave": _listed("bear, bat, dragon, pirate, fox, giant, wolf, hermit, monster, snake"),
            "the tall tree": _listed("bird, squirrel, owl, monkey, fairy, crow, bear, bee, boy, cat"),
            "the boat": _listed("sailor, pirate, fisherman, captain, duck, rat, seal, girl, gull, cat"),
            "the pond": _listed("frog, duck, fish, turtle, swan, snail, beaver, mermaid, goose, crab"),
            "the mountain": _listed("""goat, eagle, giant, shepherd, dragon, bear, wizard, wolf, hunter,
                sheep"""),
        },
    ),
    "story": Kind(
        "Begin a story about {topic}.",
        (
            "One {day} {time}, {who} saw {topic} {option}. It {also}.",
            "{who} went out on a {day} {time} and met {topic} {option}. It {also}.",
            "Long ago, {who} came upon {topic} {option}. It {also}.",
            "There was {topic} {option}. One {time} it {also}, and {who} saw it.",
        ),
        dict.fromkeys(
            _listed("""a lost kite, a magic shoe, a hungry bear, a broken clock, a brave mouse, a secret
                door"""),
            _listed("""in the park, in the forest, by the river, on the beach, behind the school, on the
                hill, under the bed, at the market, near the farm, in the snow"""),
        ),
        (_listed("""wanted to go home, could talk, began to sing, was all alone, held a secret, asked
            for help, shone like gold, ran away, fell asleep, smelled of cake"""),),
    ),
}  # fmt: skip
