"""The sample shop: one catalogue, its customers and what they do, as five small tables. Nothing in it is real.

    python data/make_shop.py          # writes the tables beside this file

Behind everything stand the catalogue's attributes (category, brand, style, colour) and customers with a taste for some of them. A
brand stands for a style, but no title says so: a model finds it out from what is bought, searched and clicked. Every table has its
own random stream, so that changing one leaves the others as they are.
"""

import argparse
import csv
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

SEED = 20240229
N_USERS, N_PURCHASES, N_QUERIES, N_CANDIDATES, N_ADS, N_IMPRESSIONS, N_MESSAGES, N_LISTINGS = 320, 2600, 250, 8, 48, 3600, 1500, 1000


def book(text: str) -> dict[str, str]:
    """Paragraphs "name: words", each going on in the indented lines below it."""
    return dict(line.split(": ", 1) for line in text.strip().replace("\n    ", " ").splitlines())


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
WORDINGS = book("""
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
INTENTS = {i: tuple([w.strip() for w in part.split(";")] for part in wordings.split("|")) for i, wordings in WORDINGS.items()}

Row = dict[str, Any]
T = TypeVar("T")
Rng = np.random.Generator


def weighted(rng: Rng, options: Sequence[T], weights: Sequence[float] | np.ndarray) -> T:
    return options[int(rng.choice(len(options), p=np.asarray(weights) / np.sum(weights)))]


def zipf(n: int, power: float) -> np.ndarray:
    return np.arange(1, n + 1, dtype=float) ** -power


def pick(rng: Rng, options: Sequence[str]) -> str:
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


def style_of(brand: str) -> str:
    return next(style for style, (brands, _) in STYLES.items() if brand in brands)


def make_catalogue(rng: Rng) -> list[Row]:
    """One or two of everything, each of a brand and a colour. Some have no price."""
    brands = [brand for names, _ in STYLES.values() for brand in names]
    rows: list[Row] = []
    for category, things in NAMES.items():
        for names in things:
            for _ in range(1 + int(rng.random() < 0.25)):
                brand, colour = pick(rng, brands), pick(rng, list(COLOURS))
                price = round(float(np.exp(rng.normal(3, 0.7)) * (1.6 if style_of(brand) == "elegant" else 1)), 2)
                rows.append({
                    "item_id": f"A{len(rows) + 1:03}", "title": f"{brand} {colour} {names[0]}",
                    "category": category, "thing": names[0], "brand": brand, "style": style_of(brand), "colour": colour,
                    "price": "" if rng.random() < 0.04 else price,
                })  # fmt: skip
    return rows


def make_transactions(rng: Rng, catalogue: list[Row]) -> list[Row]:
    """Users buy what suits their taste (categories and style, mostly their segment's) and what is popular, through one year."""
    popularity = rng.permutation(zipf(len(catalogue), 0.3))
    users = []
    for number in range(N_USERS):
        favourites, style = SEGMENTS[pick(rng, list(SEGMENTS))]
        first, second = (str(c) for c in rng.choice(favourites if rng.random() < 0.8 else CATEGORIES, 2, replace=False))
        style = style if rng.random() < 0.8 else pick(rng, list(STYLES))
        taste = np.array(
            [3.8 * (r["category"] == first) + 2.6 * (r["category"] == second) + 1.3 * (r["style"] == style) for r in catalogue]
        )
        users.append((f"U{number + 1:03}", popularity * np.exp(taste), popularity))
    rows: list[Row] = []
    activity = rng.permutation(zipf(N_USERS, 0.3))
    for _ in range(N_PURCHASES):
        user, taste, whim = weighted(rng, users, activity)
        item = weighted(rng, catalogue, whim if rng.random() < 0.05 else taste)
        time = datetime(2024, 1, 1) + timedelta(minutes=int(rng.integers(366 * 24 * 60)))
        quantity = -1 if rng.random() < 0.02 else int(rng.choice([1, 2, 3], p=[0.85, 0.1, 0.05]))
        rows.append({
            "user": "" if rng.random() < 0.01 else user, "item_id": item["item_id"], "item_text": item["title"],
            "time": time.isoformat(sep=" ", timespec="minutes"), "quantity": quantity,
        })  # fmt: skip
    return sorted(rows, key=lambda r: r["time"])


def grade(row: Row, wanted: Row, by: str, broad: bool) -> int:
    """3: all that was asked for, 2: the thing in another style or colour, 1: its category, 0: nothing of it."""
    if row["category"] != wanted["category"]:
        return 0
    same = broad or row["thing"] == wanted["thing"]
    return 3 if same and row.get(by) == wanted.get(by) else 2 if same and not broad else 1


def make_searches(rng: Rng, catalogue: list[Row]) -> list[Row]:
    """Queries for a thing or a category, most of them in a style or a colour, and products near and far from it, graded."""
    rows: list[Row] = []
    asked: set[str] = set()
    while len(asked) < N_QUERIES:
        wanted = catalogue[int(rng.integers(len(catalogue)))]
        category, style, colour = wanted["category"], wanted["style"], wanted["colour"]
        by = weighted(rng, ["style", "colour", ""], [0.75, 0.15, 0.1])
        broad = by == "style" and rng.random() < 0.8
        word = {"style": pick(rng, STYLES[style][1]), "colour": pick(rng, [colour, COLOURS[colour]]), "": ""}[by]
        query = typos(rng, f"{word} {category if broad else pick(rng, SYNONYMS[wanted['thing']])}".strip(), 0.06)
        if query in asked:
            continue
        asked.add(query)
        near = [r for r in catalogue if r["category"] == category and r is not wanted]
        alike = [r for r in catalogue if r["category"] != category and (r["colour"] == colour or r["style"] == style)]
        shown = [wanted, *(near[i] for i in rng.permutation(len(near))[: N_CANDIDATES - 3])]
        shown += [alike[i] for i in rng.permutation(len(alike))[: N_CANDIDATES - len(shown)]]
        for i in rng.permutation(len(shown)):
            error = int(rng.choice([-1, 1])) if rng.random() < 0.05 else 0
            rows.append({
                "query_id": f"Q{len(asked):03}", "query": query, "item_id": shown[i]["item_id"], "title": shown[i]["title"],
                "relevance": min(max(grade(shown[i], wanted, by, broad) + error, 0), 3),
            })  # fmt: skip
    return rows


def make_ads(rng: Rng, catalogue: list[Row]) -> list[Row]:
    """Impressions of a few ads. A segment clicks on its categories and style, at its hours, where the device suits the place."""
    ads = []
    for i in rng.choice(len(catalogue), N_ADS, replace=False):
        item = catalogue[int(i)]
        ads.append((item, f"{pick(rng, STYLES[item['style']][1])} {pick(rng, SYNONYMS[item['thing']])}, {pick(rng, SLOGANS)}"))
    rows: list[Row] = []
    for _ in range(N_IMPRESSIONS):
        item, text = ads[int(rng.integers(N_ADS))]
        segment, device = pick(rng, list(SEGMENTS)), weighted(rng, ["phone", "desktop", "tablet"], [6, 3, 1])
        placement, hour = pick(rng, ["top banner", "sidebar", "feed", "checkout"]), int(rng.integers(24))
        discount = float(rng.choice([0, 5, 10, 20, 30], p=[0.4, 0.2, 0.2, 0.15, 0.05]))
        age = float(np.clip(rng.normal({"student": 22, "retired": 68}.get(segment, 38), 5), 18, 90))
        likes, style = SEGMENTS[segment]
        suits = {("phone", "feed"): 0.9, ("desktop", "sidebar"): 0.7, ("phone", "sidebar"): -0.9, ("desktop", "feed"): -0.5}
        evening = np.exp(-(((hour - 20) / 3) ** 2)) + 0.7 * np.exp(-(((hour - 8) / 2) ** 2))
        logit = -3.2 + 2.6 * (item["category"] in likes) + 1.2 * (item["style"] == style) + suits.get((device, placement), 0.0)
        logit += 1.3 * evening + (0.05 if segment in ("student", "young parent") else 0.01) * discount + rng.normal(0, 0.3)
        rows.append({
            "segment": segment, "device": "" if rng.random() < 0.03 else device, "placement": placement, "hour": hour,
            "age": "" if rng.random() < 0.1 else round(age), "discount": "" if rng.random() < 0.05 else discount,
            "ad_category": item["category"], "ad_text": text, "click": int(rng.random() < 1 / (1 + np.exp(-logit))),
        })  # fmt: skip
    return rows


def make_messages(rng: Rng) -> list[Row]:
    """What customers write. A third of the later messages (validation, test) say it in words that training does not have."""
    things = [name for names in NAMES.values() for thing in names for name in thing]
    rows: list[Row] = []
    for i in range(N_MESSAGES):
        split = "train" if i < 0.7 * N_MESSAGES else "validation" if i < 0.8 * N_MESSAGES else "test"
        intent = weighted(rng, list(INTENTS), zipf(len(INTENTS), 0.7))
        old, new = INTENTS[intent]
        wording = pick(rng, new) if split != "train" and rng.random() < 0.33 else weighted(rng, old, zipf(len(old), 0.6))
        text = wording.format(t=pick(rng, things), u=pick(rng, things), n=int(rng.integers(10_000, 99_999)))
        text = f"{pick(rng, OPENINGS)}, {text}" if rng.random() < 0.3 else text
        text = f"{text}, {pick(rng, CLOSINGS)}" if rng.random() < 0.3 else text
        label = pick(rng, list(INTENTS)) if rng.random() < 0.03 else intent
        rows.append({"message": typos(rng, text, 0.06), "intent": "" if rng.random() < 0.01 else label, "split": split})
    return rows


def make_listings(rng: Rng) -> list[Row]:
    """Third-party listings in the sellers' words, some mislabelled, some without a description: which category?"""
    rows: list[Row] = []
    for _ in range(N_LISTINGS):
        category = weighted(rng, CATEGORIES, zipf(len(CATEGORIES), 0.6))
        forms = [name for thing in NAMES[category] for name in thing] + MORE[category].split(", ")
        title = pick(rng, forms)
        title = f"{pick(rng, list(COLOURS))} {title}" if rng.random() < 0.3 else title
        about = [pick(rng, VAGUE).format(c=pick(rng, list(COLOURS)))]
        if rng.random() < 0.2:
            about.append(pick(rng, USES[category].split(", ")))
        label = pick(rng, CATEGORIES) if rng.random() < 0.03 else category
        description = "" if rng.random() < 0.08 else ", ".join(about[i] for i in rng.permutation(len(about)))
        price = "" if rng.random() < 0.05 else round(float(np.exp(rng.normal(3, 0.8))), 2)
        rows.append({"title": typos(rng, title, 0.1), "description": description, "price": price, "category": label})
    return rows


def write(path: Path, rows: Iterable[Row]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make_shop(folder: Path, seed: int = SEED) -> dict[str, int]:
    """Writes the tables into `folder`. Returns file name → rows."""
    streams = iter(np.random.default_rng([seed, i]) for i in range(6))
    catalogue = make_catalogue(next(streams))
    tables = {
        "catalogue.csv": catalogue,
        "transactions.csv": make_transactions(next(streams), catalogue),
        "searches.csv": make_searches(next(streams), catalogue),
        "ads.csv": make_ads(next(streams), catalogue),
        "messages.csv": make_messages(next(streams)),
        "products.csv": make_listings(next(streams)),
    }
    for name, rows in tables.items():
        write(folder / name, rows)
    return {name: len(rows) for name, rows in tables.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    for name, n_rows in make_shop(arguments.folder, arguments.seed).items():
        print(f"{name}: {n_rows} rows")
