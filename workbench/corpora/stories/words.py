"""The words of a small child: nouns, verbs and adjectives by what they can do in a story.

About 1,500 words, written for this project. Within a class the everyday words stand first: draws favour
them, as speech does (`Story` conditions can ask for any word).
"""


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


# ---------------------------------------------------------------- who
GIRLS = """Lily Anna Mia Sue Lucy Emma Zoe Ella Rosie Molly Sara Nina Ruby Clara Ivy Daisy Nora Amy Bella
Hanna Kate Leah Alice Eve""".split()
BOYS = """Tom Ben Max Sam Tim Leo Jack Finn Noah Jake Theo Oscar Hugo Adam Luke Owen Milo Dan Eli Fred Gus
Henry Ian Will""".split()
GROWN_UPS = {"Mom": "f", "Dad": "m", "Grandma": "f", "Grandpa": "m"}
ANIMAL_NAMES = {
    **dict.fromkeys("Spot Rex Buddy Bingo Fuzz Rusty Pip Bruno".split(), "m"),
    **dict.fromkeys("Kitty Fluffy Dot Honey Pearl Snowy Ginger Coco".split(), "f"),
}
GENDER = {**dict.fromkeys(GIRLS, "f"), **dict.fromkeys(BOYS, "m"), **GROWN_UPS, **ANIMAL_NAMES}
KINDS = {"girl": "f", "boy": "m"}

# what an animal eats and says: facts that a story must not get wrong
ANIMAL_FOOD = _pairs(
    """dog:bone cat:fish rabbit:carrot mouse:cheese monkey:banana bird:seed squirrel:nut bear:honey cow:grass
    panda:leaf"""
)
ANIMAL_SOUND = _pairs(
    """dog:Woof cat:Meow cow:Moo duck:Quack sheep:Baa bird:Tweet mouse:Squeak frog:Ribbit lion:Roar pig:Oink"""
)
ANIMALS = """dog cat rabbit mouse monkey bird squirrel bear cow panda duck sheep frog lion pig horse fox owl goat hen
kitten puppy turtle snail bee ant fish butterfly ladybug hamster parrot donkey deer elephant giraffe
zebra tiger camel kangaroo koala penguin seal whale dolphin shark crab lobster octopus swan goose
rooster chick lamb calf pony foal mole hedgehog beaver otter raccoon skunk badger wolf crow pigeon robin
sparrow eagle hawk peacock pelican stork flamingo lizard snake toad spider worm caterpillar cricket
grasshopper dragonfly moth mosquito beetle bat rat gorilla leopard cheetah hippo rhino moose reindeer
llama walrus""".split()

# ---------------------------------------------------------------- what
TOYS = """ball doll kite car boat train drum robot balloon puzzle teddy truck top plane bell block marble puppet
wagon scooter swing yoyo whistle trumpet flute guitar piano violin rattle bike sled skateboard rocket
dinosaur castle dollhouse tent bubble hoop racket bat dice card game mask wand crown cape sword shield""".split()
TREASURES = """hat book scarf ring shell stone feather coin button key ribbon necklace bracelet watch photo mirror comb
brush pen pencil crayon notebook stamp sticker flag lantern candle music letter map compass pearl medal
badge locket diamond gem""".split()
FOODS = """apple banana cookie cake pear carrot orange sandwich muffin peach plum cherry strawberry lemon melon
grape pie donut pancake waffle cupcake candy lollipop cracker bun roll egg potato tomato onion pumpkin
pickle radish mushroom nut seed bone noodle sausage hotdog burger pizza taco omelet biscuit tart pretzel
brownie coconut pineapple mango fig date walnut peanut almond berry raisin olive pepper cucumber""".split()
MASS_NOUNS = frozenset(
    """cheese honey grass bread milk juice soup rice butter jam water tea salt sugar sand mud snow ice rain
glue tape string wool paper cloth paint wood hay corn music wind smoke fog yarn thread soap""".split()
)
DRINKS = ["milk", "juice", "soup", "water", "tea"]
MENDING = "glue tape string paint wood thread cloth paper".split()
REACHING = "ladder stick rope chair pole rake broom hook".split()
CONTAINERS = "box basket bag drawer chest bucket jar cupboard trunk crate pot suitcase".split()
SHARP_OR_HOT = "stove knife oven needle iron saw kettle candle scissors fire hammer razor".split()
MAKEABLE = """card cake picture crown necklace kite sandwich bracelet pie puppet scarf hat poster lantern cookie mask""".split()
BUILDABLE = "tower castle house bridge fort tent snowman raft nest wall".split()
FEARS = """dark storm slide thunder water bridge cave forest stage lake tunnel river spider night""".split()
STUCK_THINGS = "kite ball balloon hat kitten plane scarf teddy bird feather flag".split()

FURNITURE = """bed table chair sofa shelf lamp clock door window rug curtain pillow blanket desk bench stool cradle
mattress carpet stairs roof chimney fence gate wall floor bathtub sink toilet fridge stove oven cupboard
drawer closet mirror vase frame fan heater bookcase hammock""".split()
OUTSIDE = """tree bush rock flower log hill pond puddle stump leaf branch root stream path bridge swing slide bench
fence gate well barn haystack nest hole ditch bank waterfall cliff cloud rainbow sun moon star""".split()
TOOLS = """ladder stick rope pole rake broom hook shovel hammer saw nail screw wrench bucket brush mop sponge
needle scissors spoon fork knife plate cup bowl pan pot kettle bottle glass jar lid tray basket net
umbrella wheel cart wagon tractor truck bus taxi train ship canoe helicopter airplane motorbike
ambulance firetruck engine machine radio telephone computer camera television battery bulb flashlight
thermometer magnet telescope microscope calculator typewriter""".split()
CLOTHES = """hat coat scarf shoe boot sock glove mitten dress skirt shirt sweater jacket belt cap apron vest sandal
slipper raincoat pajama bathrobe button zipper pocket collar sleeve tie bow backpack purse wallet
handbag""".split()
PLACES = """park beach forest farm playground lake river meadow garden market zoo yard school harbor museum town
library kitchen house field bakery barn castle cave island mountain hospital circus station bridge attic
basement bedroom bathroom village city store shop church theater stadium pool tower valley desert jungle
swamp airport bank office factory restaurant campsite lighthouse windmill orchard vineyard""".split()
PEOPLE = """baby king queen prince princess farmer baker doctor teacher nurse sailor pirate clown knight wizard
fairy giant witch dragon mermaid monster ghost robot driver pilot painter singer dancer cook waiter
policeman fireman mailman gardener fisherman hunter shepherd soldier captain magician""".split()
MORE_THINGS = """idea song story dream secret wish party picnic parade race contest gift surprise lesson noise shadow
footprint hug kiss smile tear trick joke riddle promise adventure journey treasure birthday holiday
winter summer spring autumn morning evening lunch dinner breakfast snack bathroom toothbrush toothpaste
towel soap bubble garbage trash newspaper magazine calendar ticket envelope package present bow icicle
snowflake raindrop lightning earthquake volcano planet sky ocean wave sand mud stone pebble seashell
seaweed coral anchor sail paddle oar""".split()

THINGS = TOYS + TREASURES + FOODS + ANIMALS + CONTAINERS + FURNITURE + OUTSIDE + TOOLS + CLOTHES + PEOPLE
NOUNS = list(
    dict.fromkeys(
        TOYS + TREASURES + FOODS + list(ANIMALS) + CONTAINERS + FURNITURE + OUTSIDE + TOOLS + CLOTHES
        + PLACES + PEOPLE + MORE_THINGS + MAKEABLE + BUILDABLE + SHARP_OR_HOT + FEARS + DRINKS + MENDING
        + list(ANIMAL_FOOD.values())
    )
)  # fmt: skip

# where something can be: the preposition goes with the noun
SPOTS = [
    f"{preposition} the {noun}"
    for preposition, nouns in {
        "under": "bed table chair sofa rug bench blanket pillow",
        "behind": "tree door curtain couch bush fence rock barn shed",
        "in": "box basket bag drawer closet nest hole pond bucket log",
        "on": "shelf desk stairs roof swing stump windowsill",
        "near": "gate well slide river hill stream",
    }.items()
    for noun in nouns.split()
]

# ---------------------------------------------------------------- how
LOOKS = """red blue green yellow big small old new shiny soft round pink white black brown purple orange tiny
pretty long little heavy bright striped golden silver wooden fuzzy smooth rough sparkly gray dusty plain
fancy flat thick thin wide narrow tall short huge giant sharp dull curly straight crooked square hollow
sticky slippery wet dry clean dirty muddy sandy rusty dusky pale dark clear foggy cloudy spotted dotted
checkered colorful painted sleek fluffy furry silky woolly feathery bumpy lumpy pointy bent broad deep
shallow light loose tight hard firm squishy stretchy bouncy springy crunchy crispy chewy juicy sweet
sour salty spicy bitter fresh ripe raw rotten frozen warm cool hot cold icy steamy noisy quiet loud
squeaky musical magic magical mysterious strange odd weird unusual rare special favorite precious
expensive cheap simple handy useful broken torn ragged worn patched handmade knitted leather plastic
metal glass paper rubber cotton""".split()
TRAITS = """little kind happy brave funny smart shy curious clever gentle cheerful young friendly polite quiet
playful honest strong careful lively small helpful proud lazy busy messy silly stubborn patient generous
selfish greedy grumpy bossy naughty sneaky clumsy forgetful thoughtful caring loving loyal bold timid
gloomy moody jolly merry adventurous creative talkative neat tidy sleepy energetic quick slow graceful
wise foolish humble modest noble fearless daring determined hardworking eager independent sensible
sensitive imaginative inventive graceless absent dreamy restless mischievous obedient respectful
thankful grateful humorous witty charming cute lovely beautiful handsome""".split()
GOOD_FEELINGS = (
    """happy glad proud excited cheerful delighted pleased joyful thankful relieved thrilled""".split()
)
BAD_FEELINGS = "sad upset worried lonely sorry unhappy scared angry gloomy afraid miserable".split()
FEELINGS = GOOD_FEELINGS + BAD_FEELINGS
DAYS = """sunny warm bright windy lovely cold quiet rainy cloudy snowy hot beautiful chilly foggy fine pleasant
mild cool breezy stormy gray dull perfect busy ordinary special peaceful calm wonderful""".split()
MORE_ADJECTIVES = """able alive alone amazing ancient awake awful bad best better boring careless comfortable common complete
correct cozy crazy cruel dangerous dead dear different difficult easy elegant empty enormous equal evil
exact fair false familiar famous fast fat fierce final flexible free full fun grand great healthy hungry
ill important impossible innocent interesting jealous large last late lost lucky mean mighty modern
natural nasty nervous nice normal open perfect persistent poor popular possible powerful quickest ready
real rich right rude sad safe same secret serious sick similar single skinny solid spooky steep stiff
sudden sunny tame tasty terrible thirsty tired tough troubled ugly unique unknown valuable weak wealthy
whole wild wonderful worried wrong zigzag""".split()
ADJECTIVES = list(dict.fromkeys(LOOKS + TRAITS + FEELINGS + DAYS + MORE_ADJECTIVES))

ACTIVITIES = """play run jump dance sing swim climb draw paint read skip hop cook explore laugh ride build fish dig help
bake count juggle march gallop skate ski surf sail row hike camp wander stroll jog race crawl tiptoe
stomp twirl spin whirl sway swing slide bounce tumble roll stretch clap wave whistle hum shout whisper
giggle smile write sketch color sew knit weave craft garden plant farm hunt whittle travel pretend
imagine dream nap rest snooze learn study listen think share cheer celebrate chat talk joke""".split()
HANDLING = """hold touch wash shake roll carry kick clean squeeze polish lift push pull hug catch toss grab pat rub
tap knock bump poke pinch tickle scratch brush wipe dust scrub rinse dry fold wrap unwrap tie untie open
close paint color decorate cover stack turn twist flip tilt bend stretch press squash stamp measure
weigh count sort inspect examine admire kiss smell sniff watch study guard keep drag tug swing spin
bounce balance juggle hang glue tape stitch test try move place""".split()
MORE_VERBS = """accept ache act add agree allow answer appear argue arrive ask attack bark bathe be become beg begin
behave believe belong bite blame bless blink blow blush boil bow break breathe breed bring bubble burn
burst buy call care cause change charge chase check cheat chew chop clear clip collapse come comfort
command compare complain complete confess confuse connect consider contain continue cough crack crash
creep cross cry cut dare decay decide delight deliver depend describe destroy disagree disappear
discover divide double doubt drink drive drown eat embrace encourage end enjoy enter escape excite
excuse expect explain explode fade fail faint fall fear feed feel fight fill find finish fit flap float
flood flow fly follow force forget forgive form freeze frighten fry gaze get give glow go grin grow
guess guide hand happen hate heal heat hit hope hunger hurry ignore impress improve increase injure
instruct interest interrupt introduce invent invite itch join judge kneel know land last laugh launch
lead lean leave let lick lie like live long look lose love make march mark marry match matter meet melt
memorize miss mix moan multiply murmur nag need nod note notice number obey observe offer order owe own
pack park part pass pause pay peck peel peep perform permit plan please possess pour practice praise
pray preach prefer prepare preserve pretend prevent print produce promise provide punch punish put
question race rain raise reach realize recognize record refuse regret relax release remain remember
remind remove reply report rescue rest rise risk rob rock rot ruin rule rush sail satisfy say scare
scatter scold scream search see seem sell send separate serve settle shade shave shelter shiver shock
shoot shrink shrug shut sigh sign signal sink sip sit sleep slip slow smash sneeze snore snow soak
sparkle speak spell spend spill spit split spoil spot spray sprout stand stare start stay steal steer
step stick sting stir stop strengthen strip subtract succeed suck suffer suggest suit supply support
suppose surprise surround suspect swallow sweat sweep swell switch take taste teach tear tease tell
tempt thank thaw tick tire touch trace train trap tremble trick trip trot trouble trust understand unite
vanish visit wait wake walk want warm warn waste water wear weep welcome win wink wish wonder work worry
wrestle yawn yell zip zoom hide show trade borrow lend return save collect gather pick choose load
unload hook pin mend fix repair use throw bury unlock lock point protect drop""".split()
VERBS = list(dict.fromkeys(ACTIVITIES + HANDLING + MORE_VERBS))

_IRREGULAR_PAST = _pairs(
    """run:ran sing:sang swim:swam draw:drew read:read ride:rode build:built dig:dug spin:spun swing:swung
slide:slid write:wrote sew:sewed weave:wove think:thought hold:held shake:shook throw:threw catch:caught
bend:bent hide:hid lend:lent keep:kept choose:chose hang:hung dream:dreamed learn:learned stick:stuck
show:showed tie:tied untie:untied"""
)
_DOUBLED = frozenset(
    """knit skip hop hug drop grab pat rub tap scrub wrap unwrap flip drag tug pin jog nap chat hum step stop
clap spot""".split()
)


def past(verb: str) -> str:
    """The past tense of one of this module's verbs: `dance` → `danced`, `swim` → `swam`."""
    if verb in _IRREGULAR_PAST:
        return _IRREGULAR_PAST[verb]
    if verb in _DOUBLED:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


PAST = {past(verb): verb for verb in ACTIVITIES + HANDLING}


def article(phrase: str) -> str:
    """`red ball` → `a red ball`, `apple` → `an apple`, `milk` → `some milk`."""
    if phrase.split()[-1] in MASS_NOUNS:
        return f"some {phrase}"
    vowel = phrase[0] in "aeiou" and not phrase.startswith(("useful", "unique", "usual", "unif"))
    return f"an {phrase}" if vowel or phrase.startswith("honest") else f"a {phrase}"
