"""The words of the sample shop and how its generators draw from them."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np


def book(text: str) -> dict[str, str]:
    """Paragraphs "name: words", each going on in the indented lines below it."""
    return dict(line.split(": ", 1) for line in text.strip().replace("\n    ", " ").splitlines())


def wordings(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """Paragraphs "name: words; words | words; words": name → (wordings, those that come into use late)."""
    parts = {name: [[w.strip() for w in part.split(";")] for part in words.split("|")] for name, words in book(text).items()}
    return {name: (old, late) for name, (old, late) in parts.items()}


# Category → things in it; after the bar what customers call them, too.
THINGS = book("""
kitchen: saucepan|cooking pot, frying pan|skillet, kettle|water boiler, chef knife|carving blade, cutting board|chopping block,
    whisk|egg beater, colander|strainer, teapot|tea maker, baking tray|oven sheet, corkscrew|bottle opener, soup ladle|serving
    spoon, cheese grater|shredder, coffee mug|tea cup, rolling pin|dough roller, apron|cooking smock, pepper mill|spice grinder
garden: watering can|plant sprinkler, spade|shovel, rake|leaf comb, wheelbarrow|barrow cart, hose|water pipe, flower pot|planter,
    lawn mower|grass cutter, pruning shears|secateurs, trellis|vine frame, compost bin|mulch box, bird bath|bird pool,
    parasol|sunshade, hammock|hanging bed, greenhouse|glasshouse, trowel|hand digger, weed killer|herbicide
lighting: floor lamp|standing light, table lamp|bedside light, chandelier|crystal ceiling light, lantern|storm lamp, fairy
    lights|string lights, spotlight|ceiling beam, night light|sleep glow, pendant lamp|hanging light, wall sconce|wall light,
    reading lamp|desk light, candle|wax light, flashlight|torch, light bulb|led bulb, dimmer|light switch
toys: jigsaw|puzzle, building blocks|toy bricks, teddy bear|plush bear, doll|baby doll, kite|wind flyer, yo-yo|string spinner, toy
    train|railway set, board game|family game, marbles|glass balls, spinning top|whirligig, rocking horse|ride-on pony, hand
    puppet|glove doll, dollhouse|miniature house, squirt gun|water pistol, play dough|modelling clay
sports: yoga mat|exercise mat, dumbbell|hand weight, tennis racket|racquet, football|soccer ball, bike helmet|head guard,
    running shoes|trainers, swim goggles|diving mask, jump rope|skipping rope, tent|camping shelter, sleeping bag|bivvy sack,
    fishing rod|angler pole, ski gloves|snow mitts, gym bottle|sports flask, skateboard|longboard, hiking poles|trekking sticks
beauty: lipstick|lip tint, shampoo|hair wash, hand cream|moisturiser, perfume|eau de toilette, nail polish|varnish, hairbrush|comb,
    face mask|clay peel, soap bar|cleansing bar, mascara|lash ink, sunscreen|sun lotion, razor|shaver, bath salts|bath bomb,
    deodorant|antiperspirant, eyeshadow|eye palette, beard oil|whisker balm
electronics: headphones|earbuds, speaker|loudspeaker, keyboard|typing board, webcam|video camera, power bank|portable charger, smart
    watch|fitness tracker, tablet|touch slate, router|wifi box, memory card|usb stick, microphone|mic, projector|beamer,
    printer|inkjet, gamepad|joystick, phone case|mobile cover, monitor|display screen
clothing: raincoat|waterproof jacket, jumper|sweater, jeans|denim trousers, scarf|neck wrap, socks|stockings, dress|gown, woolly
    hat|beanie, belt|waist strap, mittens|knitted gloves, shirt|blouse, pyjamas|nightgown, boots|wellies, waistcoat|vest,
    swimsuit|bikini, cardigan|knit top, skirt|kilt
pets: dog lead|leash, cat litter|kitty sand, aquarium|fish tank, hamster wheel|rodent runner, bird cage|budgie house, scratching
    post|cat tree, chew bone|dog treat, dog basket|puppy bed, cat flap|kitten door, feeding bowl|kibble dish, flea collar|tick band,
    rabbit hutch|bunny run, dog whistle|recall pipe, horse brush|mane comb
office: stapler|paper fastener, notebook|writing pad, fountain pen|ballpoint, desk chair|swivel seat, ring binder|folder, paper
    clips|clamps, whiteboard|marker board, calculator|adding machine, envelopes|mailers, scissors|paper cutter, hole
    punch|perforator, sticky notes|memo pads, document shredder|paper destroyer, ruler|measuring stick, pen holder|desk tidy
""")
NAMES = {category: [thing.split("|") for thing in things.split(", ")] for category, things in THINGS.items()}
CATEGORIES = list(NAMES)
SYNONYMS = {names[0]: names for things in NAMES.values() for names in things}
# Style → the brands that stand for it, and words for it.
STYLES = {
    "rustic": (["Brumwold", "Haldorf"], ["rustic", "farmhouse", "vintage", "country"]),
    "modern": (["Zentrik", "Kyrolux"], ["modern", "minimalist", "sleek", "futuristic"]),
    "playful": (["Pipolo", "Wunzi"], ["playful", "funny", "quirky", "cheerful"]),
    "elegant": (["Verdane", "Maison Noé"], ["elegant", "luxury", "classy", "refined"]),
}
# Things that only other sellers list.
MORE = book("""
kitchen: wok, blender, toaster, garlic press, bread bin, espresso machine, tongs, measuring spoons, cake stand, salad bowl, tea
    towel, mandoline, pressure cooker, fondue set, ice cube tray, potato peeler, egg timer, wine decanter, juicer, dish rack, lunch
    box, ramekin, tagine
garden: hedge trimmer, gnome, seeds, fertiliser, leaf blower, patio heater, sprinkler, raised bed, garden fork, cold frame, axe,
    bulbs, pond pump, wellington rack, slug pellets, gazebo, barbecue, picket fence, garden shears, mulch, turf roll, bean poles,
    dibber
lighting: neon sign, lampshade, headlamp, uplighter, oil lamp, tea lights, solar lamp, disco ball, filament bulb, floodlight,
    candelabra, strobe, ring light, lava lamp, track rail, halogen tube, lamp shade frame, motion sensor light, bollard light,
    nightstand light, luminaire
toys: rattle, slinky, toy car, robot kit, crayons, stuffed rabbit, playing cards, bouncy ball, xylophone, superhero figure, sandbox
    set, tricycle, magic set, toy kitchen, remote control car, stickers, hula hoop, balloon kit, building logs, toy drum, wooden
    blocks, walkie-talkie
sports: kettlebell, surfboard, dartboard, snorkel, boxing gloves, golf balls, rucksack, ice skates, volleyball, rowing machine,
    stopwatch, archery bow, punching bag, wetsuit, treadmill, cricket bat, pedometer, resistance bands, snowboard, shuttlecock, shin
    pads, paddle, carabiner
beauty: foundation, concealer, tweezers, hair dryer, curling iron, body lotion, toner, aftershave, nail file, hair dye, lip balm,
    cologne, bronzer, cuticle oil, hair gel, exfoliant, blush, brow pencil, cotton pads, serum, pedicure kit, hair clip, talcum
    powder, setting spray
electronics: laptop, charging cable, hard drive, drone, e-reader, camera lens, battery, radio, television, adapter, dash cam,
    soundbar, graphics card, hearing aid, smart plug, barcode scanner, oscilloscope, tripod, cassette deck, satellite dish,
    turntable, modem, walkman
clothing: hoodie, blazer, leggings, bow tie, sandals, polo, parka, bathrobe, tights, dungarees, trench coat, headscarf, loafers,
    tracksuit, kimono, poncho, braces, corset, cargo shorts, ankle socks, overalls, turtleneck, slippers, sarong, windbreaker,
    fedora, flannel shirt
pets: catnip mouse, parrot perch, guinea pig tunnel, puppy crate, reptile lamp, worming tablets, goldfish flakes, saddle, muzzle,
    ferret harness, terrarium, chicken coop, horse blanket, grooming glove, feline fountain, hay rack, tropical fish food, training
    clicker, bird seed, paw balm
office: highlighter, filing cabinet, laminator, glue stick, planner, stamp, rubber bands, label maker, clipboard, ink cartridge,
    eraser, lanyard, guillotine, drawing pins, correction fluid, lectern, index cards, date stamp, desk lamp arm, footrest, copy
    paper, wall calendar, compass
""")
COLOURS = {"blue": "navy", "red": "crimson", "green": "olive", "white": "ivory", "black": "ebony", "yellow": "mustard", "grey": "charcoal"}
SEGMENTS = {  # favourite categories, favourite style
    "student": (["electronics", "office", "sports"], "modern"),
    "young parent": (["toys", "clothing", "pets"], "playful"),
    "home owner": (["garden", "kitchen", "lighting"], "rustic"),
    "professional": (["office", "beauty", "electronics"], "elegant"),
    "retired": (["garden", "pets", "lighting"], "rustic"),
    "trend seeker": (["beauty", "clothing", "lighting"], "elegant"),
}
# What sellers write about things of a category; most descriptions have none of it.
USES = book("""
kitchen: for soups and stews, dishwasher safe, every cook needs one, for quick dinners
garden: for beds and borders, weatherproof outdoors, helps plants thrive, for the terrace
lighting: warm glow at night, brightens dark corners, low wattage, cosy evenings
toys: hours of fun for kids, from three years, keeps little ones busy, for the playroom
sports: for training outdoors, light when you travel, for beginners and pros, grips well when wet
beauty: gentle on sensitive skin, smells lovely, lasts all day, vegan formula
electronics: pairs in seconds, long battery life, plug and play, two year warranty
clothing: machine washable, soft cotton inside, fits true to size, for chilly days
pets: your four-legged friend will like it, chew proof, easy to clean after meals, vet approved
office: for a tidy workplace, pack for the whole team, for school and work, no more paper chaos
""")
SAYINGS = book("""
slogans: now in store, free delivery today, our bestseller, last pieces, you will love it, new this week, loved by thousands
vague: great gift, as new, top quality, sold as pictured, fast shipping, bought twice, well made, box slightly damaged, in {c}, with {c}
    details, goes with everything in the kitchen, made from recycled plastic, nice for garden parties, customers love it, not a toy,
    light and handy, comes in a pet-friendly home, über practical
openings: hi, hello, hey there, good morning, dear team, sorry to bother, excuse me, guten Tag
closings: thanks; please help; asap; this is urgent; kind regards; i am not happy; let me know; cheers, Zoë
""")
SLOGANS, VAGUE, OPENINGS, CLOSINGS = (re.split("; " if ";" in words else ", ", words) for words in SAYINGS.values())

# Intent → wordings; those after the bar come into use late: training rows do not have them.
INTENTS = wordings("""
delivery_status: where is my {t}; my order has not arrived yet; when will the {t} be here; the parcel is late again; it said
    delivery by monday; tracking has not moved for days; is my {t} on its way; still waiting for order {n}; has it been shipped; the
    courier never came | nothing in the mail so far; how much longer until i get the {t}; i was home all day and nobody rang; any
    news on package {n}
return_item: i want to send the {t} back; how do i return order {n}; it does not fit, can i give it back; please send me a return
    label; the {t} is not what i hoped for, take it back; can i still return this after two weeks; how long may i keep it before
    sending it back; where do i drop off a return; i no longer want the {t} i received | i changed my mind about the {t} that came;
    which post office accepts things i do not want to keep; the {t} is too small and has to go back to you
refund_status: where is my money for order {n}; i sent the {t} back but was not paid; when do i get my money back; the refund has
    not arrived; you promised to pay me back last week; my bank shows no refund yet; how long does a refund take; still no credit
    for the returned {t}; refund for {n} please check | the amount for the {t} i gave back never showed up in my account; i am
    waiting to be reimbursed
damaged_item: the {t} arrived broken; it came with a crack; the box was crushed and the {t} is dented; it stopped working after a
    day; there are scratches all over; the {t} does not switch on; a part is missing from the {t}; it leaks; the {t} fell apart |
    the {t} is faulty; opened the parcel and found it in pieces; the seam is torn and one corner is chipped
wrong_item: i got a {t} but ordered a {u}; you sent the wrong thing; this is not the colour i chose; there is a {t} in the box that
    i never asked for; the {t} is the wrong size; order {n} has someone else's things; i received two of them but paid for one; not
    what i ordered | instead of the {u} there was a {t}; you mixed up my parcel with another customer's; i asked for blue and this
    one is red
cancel_order: please cancel order {n}; i want to cancel the {t}; stop my order before it ships; i ordered the {t} by mistake; can i
    call off my order; do not send the {t}; i ordered twice, remove one; i do not need the {t} any more, please do not ship it;
    delete order {n} | is it too late to withdraw what i bought this morning; forget about the {t}, i have not got it yet and will
    not take it
change_address: i moved, please change my address; send the {t} to my office instead; the street number is wrong on order {n}; can
    you deliver to my neighbour; update the delivery address; i typed the wrong postcode; ship it to another city please; use my
    parents' address | i no longer live there, here is where the {t} should go; my house number is 12 and not 21
payment_problem: my card was declined; i was charged twice for the {t}; paying does not work; can i pay by invoice; the payment page
    shows an error; paypal fails at checkout; you took too much money; my bank refuses the transfer; which cards do you take | the
    same sum left my account two times; checkout hangs after i enter my card number
discount_code: my voucher does not work; the code says expired; where do i enter the discount code; i forgot to use my coupon on
    order {n}; is there a student discount; can i combine two vouchers; the ten percent off were not applied; gift card is not
    accepted | the promotion from your newsletter is refused; why is the {t} not cheaper although i typed SAVE10
stock_question: when will the {t} be back; is the {t} available in blue; do you have the {t} in large; will you get more of the {t};
    the {t} is sold out; do you sell a {t} for children; is the {t} in your store downtown; how many are left | can i reserve a {t}
    before it is gone; please tell me once it is there again
account_access: i cannot log in; i forgot my password; the reset mail never came; my account is locked; how do i delete my account;
    change my email please; it does not know my user name; two-step code does not arrive | signing in fails although nothing
    changed; someone else uses my profile
praise: thank you, the {t} is lovely; great service; the {t} came so fast; my kids love the {t}; best shop ever; wonderful quality;
    five stars; you solved it in minutes, thanks | could not be happier with the {t}; keep up the good work; merci beaucoup, très
    bien
""")

Row = dict[str, Any]
T = TypeVar("T")
Rng = np.random.Generator


def weighted(rng: Rng, options: Sequence[T], weights: Sequence[float] | np.ndarray) -> T:
    edges = np.cumsum(np.asarray(weights, dtype=float))  # as rng.choice does, in a fourth of the time
    return options[int(edges.searchsorted(edges[-1] * rng.random(), side="right"))]


def zipf(n: int, power: float) -> np.ndarray:
    return np.arange(1, n + 1, dtype=float) ** -power


def pick(rng: Rng, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def typos(rng: Rng, text: str, rate: float) -> str:
    """Some words of five letters and more with two neighbours swapped, a letter lost or doubled."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if len(word) >= 5 and rng.random() < rate:
            at = int(rng.integers(1, len(word) - 2))
            a, b = word[at], word[at + 1]
            words[i] = word[:at] + (b + a, a, a + a + b)[int(rng.integers(3))] + word[at + 2 :]
    return " ".join(words)


def part_of(i: int, n: int) -> str:
    """The split of row i of n, by time."""
    return "train" if i < 0.7 * n else "validation" if i < 0.8 * n else "test"


def wording(rng: Rng, split: str, old: Sequence[str], late: Sequence[str]) -> str:
    """How somebody says it: the first ones most; after training a third of the time in words that training does not have."""
    return pick(rng, late) if split != "train" and rng.random() < 0.33 else weighted(rng, old, zipf(len(old), 0.6))


def style_of(brand: str) -> str:
    return next(style for style, (brands, _) in STYLES.items() if brand in brands)
