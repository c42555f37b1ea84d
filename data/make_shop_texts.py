"""The sample shop's texts: what customers write and ask, what sellers call things, what is said of a product."""

import json

import numpy as np

from data.shop_words import (
    CATEGORIES,
    COLOURS,
    INTENTS,
    MORE,
    NAMES,
    OPENINGS,
    SEGMENTS,
    SLOGANS,
    STYLES,
    SYNONYMS,
    USES,
    Rng,
    Row,
    book,
    part_of,
    pick,
    style_of,
    typos,
    weighted,
    wording,
    wordings,
    zipf,
)

# Theme of a review and what is thought of it → wordings; those after the bar come into use late, as in the messages.
OPINIONS = wordings("""
quality bad: it broke after a week; feels cheap; poorly made; not sturdy at all; it fell to pieces; bad quality | flimsy as paper; it
    wobbles and creaks; would not survive a month
quality good: very well made; solid and sturdy; great quality; feels like it will last for years; good workmanship | built like a
    tank; you notice the craft in every detail
delivery bad: it took three weeks to arrive; delivery was late; the courier left it in the rain; it came a week after the date; slow
    shipping | i had nearly given up waiting; it went to the wrong town first
delivery good: arrived the next day; fast delivery; it came earlier than promised; quick shipping; the courier was friendly | two days
    from the click to my door; here before i had cleared a shelf for it
price bad: far too expensive; not worth the money; i found it cheaper elsewhere; overpriced; the price went up overnight | it costs an
    arm and a leg; you pay for the name
price good: great value; a real bargain; cheaper than in town; worth every cent; good price | you get a lot for little; my purse
    is happy
size bad: much smaller than it looks; too big for us; does not fit; the size is wrong; runs small | no room for it anywhere; we had to
    give it to my tall nephew
size good: just the right size; fits perfectly; bigger than expected; fits in any corner; true to size | as if made to measure; it
    goes exactly where i wanted it
colour bad: the colour is not as in the picture; it faded in the sun; the colour is dull; not the shade i expected; the paint comes
    off | it looks quite different by daylight; more mud than gold
colour good: lovely colour; the colour is just as shown; bright and cheerful shade; matches my room; it does not fade | it glows; the
    hue goes with everything
packaging bad: the box was crushed; too much plastic around it; badly wrapped; the parcel was open; no padding at all | half a forest
    of cardboard for one small thing; it rattled loose on the way
packaging good: nicely wrapped; well packed; no plastic at all, thank you; the box is pretty enough for a gift; safely padded | it came
    like a present; not one corner was dented
service bad: nobody answers the phone; support was rude; they never wrote back; customer service is useless; i waited an hour on the
    line | i talked to a robot for days; my complaint went unheard
service good: friendly support; they answered at once; customer service replaced it without a question; helpful staff; very kind on the
    phone | they solved it while i was still typing; a human who listens
""")
THEMES = list(dict.fromkeys(name.split()[0] for name in OPINIONS))
REMARKS = wordings("""
1: very disappointed; do not buy this; it went straight back; a waste; never again | i want those hours back
2: not what i hoped for; rather disappointed; i would not buy it again; meh at best | my hopes were higher
3: it is okay; does what it should; mixed feelings; average; so so | neither here nor there
4: happy with it; good buy; we like it; i would buy it again; nice | no regrets so far
5: love it; absolutely perfect; my best buy this year; could not be happier; wonderful | it made my day
""")
FREQUENT = {"themes": [0.1, 0.4, 0.33, 0.17], "ratings": [1, 1, 1.4, 3, 4], "good": [0.04, 0.22, 0.5, 0.83, 0.97]}
SEPARATORS = (";", " ; ", ";  ", "; ;")

VARIANTS = book("""
small: small, size S, compact
large: large, size L, big
set: set of 3, 3 pcs, three pieces
single: 1 pc, single piece
""")
SELLERS = ["free shipping", "brand new", "original packaging", "top price", "in stock", "NEW!", "from the expert", "gift idea", "sale"]
MORE_COLOURS = ["turquoise", "beige", "purple", "orange", "pink", "silver", "golden", "brown", "violet", "copper"]
MATERIALS = ["steel", "oak", "cotton", "plastic", "bamboo", "ceramic", "leather", "glass", "linen", "rubber", "walnut", "aluminium"]
MEASURES = ["{} cm", "{} mm", "{} l", "{} g", "set of {}", "{} pcs", "pack of {}"]
SYLLABLES = ["bra", "kel", "to", "vin", "mar", "osk", "lu", "den", "fa", "rix", "sol", "ha", "gun", "pe", "ti", "wor"]
TRAPS = [
    "in a {c} box",
    "not for {b}",
    "goes with {b} parts",
    "{c} label",
    "better than {b}",
    "with {m} handle",
    "gift for her",
    "as seen on tv",
]

# Intent → the agent's question, then for each choice what the customer says and what the right reply is.
FLOWS = """
delivery_status | shall i look where it is, or shall we send it once more?
    look for it; where is it now; just tell me when it comes > order {n} is with the courier and arrives tomorrow; your parcel left the
        depot today; the {t} is on its way and will be there within two days
    send it again; a second parcel please; i gave up on the first one > we ship the {t} once more, free of charge; a second parcel for
        order {n} leaves us today; i have booked a new shipment
return_item | do you want your money back or something else instead?
    money back please; i just want a refund; no other one, pay me back > print the label, then you are paid as soon as the {t} is here;
        send it to us and the amount goes to your account
    i would take another one; an exchange; swap it for a bigger one > an exchange is booked, give the {t} to the courier; the courier
        swaps it at your door
refund_status | did you pay by card or by invoice?
    by card; with my visa; credit card > card payments take five days, the money for order {n} is on its way to your card; your card will
        be credited on friday
    by invoice; on account; after i got the bill > please do not pay the bill for order {n}, we cancelled it; the invoice is void
damaged_item | would you like a new one or your money back?
    a new one please; i still need it; send me another > a new {t} leaves our warehouse today; the replacement is on its way, please
        throw the old one away
    money back; i no longer want it; a refund > the price of the {t} goes back to you today; you are refunded and need not return it
wrong_item | do you want to keep it or shall we fetch it?
    i keep it; i like it anyway; it may stay > keep the {t} at half the price; as a sorry you get fifty percent off
    fetch it; take it away; i have no use for it > the courier collects it on monday and brings the right one; we pick up the {t} and
        deliver what you ordered
cancel_order | has it been sent already?
    not yet; it still says in preparation; i ordered a minute ago > order {n} is cancelled; done, it will not leave our house
    yes it left; it is with the courier; the mail says shipped > please refuse the parcel at the door; it cannot be stopped any more,
        send the {t} back for free
change_address | for this order only, or for the future too?
    only this time; just this parcel; for this order > we changed the address of order {n}; this parcel goes to the new place
    for good; always; in future too > your profile has the new address now; all your parcels go to the new address from today
payment_problem | what does the page say?
    declined; the bank said no; rejected > please ask your bank to unlock the card, or take another way to pay; try another card
    it took the money twice; two payments; charged double > the second payment goes back within three days; you will get one of both
        amounts back
discount_code | is it from a newsletter or a gift card?
    newsletter; from an email; the ad you mailed me > the code was valid until sunday, here is a new one: SAVE10; i took the ten percent
        off by hand
    gift card; a present; a voucher from my aunt > scratch the silver field, the number is below; gift cards go into the field beside
        the payment
stock_question | shall i tell you when it is here again, or do you want something alike?
    tell me; a mail please; i can wait > you get a mail when the {t} is back; we will write to you, likely next week
    something alike; show me others; i need it now > have a look at these, they are much like the {t}; i put three similar ones in your
        basket
account_access | do you still have the mail address you signed up with?
    yes; same address; i do > a link to set a new password is in your inbox; please check your mail for the reset link
    no; that address is gone; i changed my mail > we need a copy of a bill to be sure it is you; please call us, we change the
        address on the phone
"""
MIND = ["actually no, {a}", "wait, i thought about it: {a}", "sorry, i meant {a}"]
GREETINGS = ["hello, how can i help", "good day, what can we do for you", "hi, this is the service team"]

# What a product text may say: how, with which values, and how customers ask for it.
FACTS = {
    line.split(": ", 1)[0]: [[part.strip() for part in parts.split(";")] for parts in line.split(": ", 1)[1].split("|")]
    for line in """
material: it is made of {v}; the body is {v}; {v} throughout | solid oak; stainless steel; organic cotton; recycled plastic; bamboo;
    glass | what is it made of; which material is it; is it plastic or something better | out of what is it built
size: it measures {v}; {v} in size; its dimensions are {v} | 28 cm; 40 x 60 cm; 1.2 m; 15 x 15 cm; 90 cm; 7 inches | how big is it; what
    are the dimensions; how wide is it | will it fit on my shelf
weight: it weighs {v}; at {v} it is easy to lift; total weight {v} | 300 grams; 1.2 kg; 85 g; two kilos; 4.5 kg | how heavy is it; what
    does it weigh; is it light | can i carry it with one hand
warranty: the warranty lasts {v}; guaranteed for {v}; we repair it for free for {v} | two years; 12 months; five years; ten years; a
    lifetime | how long is the warranty; is there a guarantee; for how long is it guaranteed | what if it breaks in a while
origin: it is made in {v}; it comes from a workshop in {v}; designed and built in {v} | Portugal; Denmark; the Black Forest; Japan;
    Wales; Łódź | where is it made; which country does it come from; where was it built | is it from around here
care: care: {v}; to clean it, {v}; {v} and it stays like new | wash at 30 degrees; hand wash only; wipe with a damp cloth; oil it once a
    year | how do i clean it; how do i care for it; can it go in the machine | what to do about stains
delivery: it ships within {v}; delivered in {v}; at your door in {v} | two days; a week; 24 hours; three to five days; ten days | when
    will it arrive; how fast is the delivery; how long does shipping take | can i have it by the weekend
age: suitable from {v}; for ages {v}; recommended from {v} | three years; six years; 12 months; eighteen years; ten years | from what
    age is it; is it safe for small children; how old must one be | may my little one use it
colours: it comes in {v}; choose between {v}; available in {v} | navy and ivory; red or green; olive, black and white; five pastel
    shades | which colours are there; is there another colour; what shades can i get | does it have to be this dull one
contents: the box holds {v}; you get {v}; included: {v} | two spare parts and a manual; a cloth and a bag; four screws; a charger | what
    is in the box; what comes with it; are there any extras | do i have to buy anything else
power: it runs on {v}; powered by {v}; it needs {v} | two AA batteries; USB; a wall plug; solar cells; a small petrol engine | does it
    need batteries; what powers it; how is it charged | where does the energy come from
""".strip().replace("\n    ", " ").splitlines()
}  # fmt: skip

# Style → how it is put when something is to be sold.
PITCHES = {"rustic": "a homely look", "modern": "clean lines", "playful": "a good laugh", "elegant": "special moments"}
PATTERNS = [
    "A {style} {thing}{colour} by {brand}, made for {pitch}. {use}.",
    "{brand} presents this {style} {thing}{colour} for {pitch}. {use}.",
    "{use}: this {thing}{colour} by {brand} stands for {pitch}.",
]


def names_of(category: str) -> list[str]:
    return [name for names in NAMES[category] for name in names]


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def make_reviews(rng: Rng, n: int) -> list[Row]:
    """What customers think of a thing: themes that they praise or blame, a rating that goes with it, most name the thing."""
    rows: list[Row] = []
    for i in range(n):
        split, category = part_of(i, n), weighted(rng, CATEGORIES, zipf(len(CATEGORIES), 0.5))
        rating = weighted(rng, range(1, 6), FREQUENT["ratings"])
        n_themes = weighted(rng, range(4), FREQUENT["themes"])
        order = rng.choice(len(THEMES), n_themes, replace=False, p=zipf(len(THEMES), 0.6) / zipf(len(THEMES), 0.6).sum())
        themes = [THEMES[t] for t in order]
        said = [wording(rng, split, *OPINIONS[f"{t} {'good' if rng.random() < FREQUENT['good'][rating - 1] else 'bad'}"]) for t in themes]
        if rng.random() < 0.6 or not said:
            said.insert(int(rng.integers(len(said) + 1)), wording(rng, split, *REMARKS[str(rating)]))
        if rng.random() < 0.8:
            thing = pick(rng, names_of(category))
            said.insert(
                0,
                pick(rng, [f"bought the {thing} for my sister", f"this {thing}", f"the {thing} i ordered", f"{thing}", f"my new {thing}"]),
            )
        if rng.random() < 0.1:
            said.append(pick(rng, USES[category].split(", ")))
        text = "".join(part + pick(rng, [", ", ". ", " - ", ", "]) for part in said[:-1]) + said[-1]
        if themes and rng.random() < 0.04:
            themes.pop()  # overlooked by who marked them
        marked = (pick(rng, SEPARATORS) if rng.random() < 0.04 else "; ").join(themes)
        rows.append({
            "title": pick(rng, REMARKS[str(rating)][0]) if rng.random() < 0.3 else "",
            "review": typos(rng, text, 0.05),
            "themes": marked.upper() if rng.random() < 0.02 else marked,
            "rating": "" if rng.random() < 0.01 else min(max(rating + (int(rng.choice([-1, 1])) if rng.random() < 0.05 else 0), 1), 5),
            "department": "" if rng.random() < 0.02 else category,
            "split": split,
        })  # fmt: skip
    return rows


def offer(rng: Rng, item: Row, variant: str) -> str:
    """A seller's spelling of a product: synonyms, another order, something left out, something added."""
    parts = [pick(rng, SYNONYMS[item["thing"]])]
    if rng.random() < 0.94:
        parts.append(item["brand"].upper() if rng.random() < 0.2 else item["brand"])
    if rng.random() < 0.94:
        parts.append(pick(rng, [item["colour"], COLOURS[item["colour"]]]))
    if rng.random() < 0.85:
        parts.append(pick(rng, VARIANTS[variant].split(", ")))
    if rng.random() < 0.5:
        parts.append(pick(rng, SELLERS))
    return typos(rng, pick(rng, [" ", ", ", " - ", " "]).join(parts[i] for i in rng.permutation(len(parts))), 0.05)


def make_offers(rng: Rng, catalogue: list[Row], n: int) -> list[Row]:
    """Pairs of offers. Most that are not the same differ in one thing: the colour, the brand, the variant, or what it is."""
    rows: list[Row] = []
    for _ in range(n):
        item, variant = catalogue[int(rng.integers(len(catalogue)))], pick(rng, list(VARIANTS))
        other, same, variant_b = item, rng.random() < 0.4, variant
        if not same:
            what = weighted(rng, ["colour", "brand", "variant", "thing", "all"], [3, 3, 2, 2, 1])
            if what == "variant":
                variant_b = pick(rng, [v for v in VARIANTS if v != variant])
            elif what == "all":
                other = pick(rng, [r for r in catalogue if r["thing"] != item["thing"]])
            elif what == "thing":
                alike = pick(rng, [r for r in catalogue if r["category"] == item["category"] and r["thing"] != item["thing"]])
                other = item | {"thing": alike["thing"]}
            else:
                other = item | {what: pick(rng, sorted({r[what] for r in catalogue} - {item[what]}))}
        label = int(same) if rng.random() < 0.98 else 1 - int(same)
        rows.append(
            {"item_id": item["item_id"], "offer_a": offer(rng, item, variant), "offer_b": offer(rng, other, variant_b), "same": label}
        )
    return rows


def make_titles(rng: Rng, n: int) -> list[Row]:
    """Sellers' titles and what stands in them: known and unknown brands, colours, materials, sizes; and words that only look like it."""
    known = [brand for brands, _ in STYLES.values() for brand in brands]
    colours = [*COLOURS, *COLOURS.values(), *MORE_COLOURS]
    rows: list[Row] = []
    for _ in range(n):
        category = pick(rng, CATEGORIES)
        invented = sentence("".join(SYLLABLES[i] for i in rng.choice(len(SYLLABLES), int(rng.integers(2, 4)), replace=False)))
        found = {
            "brand": pick(rng, known) if rng.random() < 0.6 else invented,
            "colour": pick(rng, colours),
            "material": pick(rng, MATERIALS),
            "size": pick(rng, MEASURES).format(int(rng.integers(2, 60))),
            "thing": typos(rng, pick(rng, names_of(category) + MORE[category].split(", ")), 0.08),
        }
        shares = {"brand": 0.85, "colour": 0.7, "material": 0.4, "size": 0.35, "thing": 1}
        found = {name: value for name, value in found.items() if rng.random() < shares[name]}
        order = list(found) if rng.random() < 0.4 else [list(found)[i] for i in rng.permutation(len(found))]
        parts = [found[name] for name in order]
        if rng.random() < 0.35:
            trap = pick(rng, TRAPS).format(
                c=pick(rng, [c for c in colours if c != found.get("colour")]),
                b=pick(rng, [b for b in known if b != found.get("brand")]),
                m=pick(rng, [m for m in MATERIALS if m != found.get("material")]),
            )
            parts.append(trap)
        if rng.random() < 0.3:
            parts.insert(int(rng.integers(2)) * len(parts), pick(rng, SELLERS))
        if rng.random() < 0.1:
            parts, found = [p.lower() for p in parts], {name: value.lower() for name, value in found.items()}
        if len(found) > 1 and rng.random() < 0.03:
            found.pop(pick(rng, list(found)))  # overlooked by who marked them
        marked = {name: found[name] for name in order if name in found}
        title = pick(rng, [" ", " ", ", ", " | "]).join(parts)
        rows.append({"title": title, "attributes": json.dumps(marked, ensure_ascii=False)})
    return rows


def flows() -> dict[str, tuple[str, list[tuple[list[str], list[str]]]]]:
    """Intent → (the agent's question, the choices: (what customers say, the right replies))."""
    found: dict[str, tuple[str, list[tuple[list[str], list[str]]]]] = {}
    for line in FLOWS.strip().replace("\n        ", " ").splitlines():
        if not line.startswith(" "):
            intent, question = line.split(" | ")
            found[intent] = (question, [])
        else:
            says, replies = ([w.strip() for w in part.split(";")] for part in line.split(" > "))
            found[intent][1].append((says, replies))
    return found


def make_dialogues(rng: Rng, n: int) -> list[Row]:
    """A customer and an agent, up to the reply that fits: to what is wanted, to the choice made last, to the order and the thing."""
    rows: list[Row] = []
    by_intent = flows()
    for i in range(n):
        split, category = part_of(i, n), pick(rng, CATEGORIES)
        intent = weighted(rng, list(by_intent), zipf(len(by_intent), 0.4))
        question, choices = by_intent[intent]
        thing, other, number = pick(rng, names_of(category)), pick(rng, names_of(category)), int(rng.integers(10_000, 99_999))
        chosen = int(rng.integers(2))
        says, replies = choices[chosen]
        first = wording(rng, split, *INTENTS[intent]).format(t=thing, u=other, n=number)
        turns = [f"customer: {pick(rng, OPENINGS)}, {first}" if rng.random() < 0.3 else f"customer: {first}"]
        if rng.random() < 0.2:
            turns = [f"customer: {pick(rng, OPENINGS)}", f"agent: {pick(rng, GREETINGS)}", *turns]
        reply = pick(rng, replies)
        if ("{n}" in reply or rng.random() < 0.2) and str(number) not in first:
            turns += ["agent: what is your order number?", f"customer: {number}"]
        if "{t}" in reply and thing not in first:
            turns += ["agent: which product is it about?", f"customer: {thing}"]
        turns.append(f"agent: {question}")
        if rng.random() < 0.15:  # the last word counts
            turns += [f"customer: {pick(rng, choices[1 - chosen][0])}", "customer: " + pick(rng, MIND).format(a=pick(rng, says))]
        else:
            turns.append(f"customer: {pick(rng, says)}")
        turns = [t if t.startswith("agent") or t[-1].isdigit() else f"customer: {typos(rng, t[10:], 0.04)}" for t in turns]
        reply = "" if rng.random() < 0.01 else sentence(reply.format(t=thing, n=number))
        rows.append({"dialogue": " | ".join(turns), "reply": reply, "split": split})
    return rows


def passage(rng: Rng, catalogue: list[Row], n_facts: int) -> tuple[str, dict[str, str]]:
    """A short product text and the facts in it."""
    item = catalogue[int(rng.integers(len(catalogue)))]
    facts: dict[str, str] = {}
    for i in rng.permutation(len(FACTS)):
        name = list(FACTS)[i]
        value = pick(rng, FACTS[name][1])
        if len(facts) < n_facts and value not in facts.values():  # a value that stands there twice would be two answers
            facts[name] = value
    said = [sentence(pick(rng, FACTS[name][0]).format(v=value)) for name, value in facts.items()]
    intro = pick(rng, ["The {} {}", "{} {}", "Meet the {} {}"]).format(item["brand"], pick(rng, SYNONYMS[item["thing"]]))
    return ". ".join([f"{intro}, {pick(rng, SLOGANS)}", *said]) + ".", facts


def make_questions(rng: Rng, catalogue: list[Row], n: int) -> list[Row]:
    """Three questions about each product text; of a quarter the text does not say the answer."""
    rows: list[Row] = []
    while len(rows) < n:
        split = part_of(len(rows), n)
        text, facts = passage(rng, catalogue, 4)
        asked = [*rng.permutation(list(facts))[:3], *rng.permutation([name for name in FACTS if name not in facts])[:3]]
        for i in range(3):
            name = str(asked[i if rng.random() < 0.75 else i + 3])
            question = wording(rng, split, *FACTS[name][2:])
            question = typos(rng, f"{pick(rng, OPENINGS)}, {question}" if rng.random() < 0.2 else question, 0.05)
            value = facts.get(name, "")
            rows.append({
                "question": question + ("?" if rng.random() < 0.6 else ""), "passage": text,
                "answer": value if value in text else sentence(value), "split": split,  # as it stands in the text
            })  # fmt: skip
    return rows


def make_descriptions(rng: Rng, catalogue: list[Row], n: int) -> list[Row]:
    """What a shop writes of a product that it knows by a few attributes. The style is not always among them: the brand tells."""
    brands = [brand for names, _ in STYLES.values() for brand in names]
    rows: list[Row] = []
    for _ in range(n):
        category, brand = pick(rng, CATEGORIES), pick(rng, brands)
        thing, colour, style = pick(rng, names_of(category)), pick(rng, [*COLOURS, *COLOURS.values()]), style_of(brand)
        known = {"brand": brand, "thing": thing, "category": category}
        if rng.random() < 0.85:
            known["colour"] = colour
        if rng.random() < 0.7:
            known["style"] = style
        uses = USES[category].split(", ")
        text = weighted(rng, PATTERNS, [3, 2, 1]).format(
            style=style,
            thing=thing,
            colour=f" in {colour}" if "colour" in known else "",
            brand=brand,
            pitch=PITCHES[style],
            use=sentence(weighted(rng, uses, zipf(len(uses), 1))),
        )
        order = rng.permutation(len(known)) if rng.random() < 0.3 else range(len(known))
        rows.append({"facts": "; ".join(f"{name}: {known[name]}" for name in (list(known)[i] for i in order)), "description": text})
    return rows


def make_shop_texts(rng: Rng, catalogue: list[Row], messages: list[Row], n: int) -> list[Row]:
    """Text that nobody labelled: messages, reviews, product texts, titles. All distinct."""
    found = [row["message"] for row in messages] + [row["review"] for row in make_reviews(rng, n // 2)]
    found += [passage(rng, catalogue, 3)[0] for _ in range(n // 3)] + [row["title"] for row in make_titles(rng, n // 6)]
    found += [row["description"] for row in make_descriptions(rng, catalogue, n // 6)]
    distinct = list(dict.fromkeys(found))
    return [{"text": distinct[i]} for i in rng.permutation(len(distinct))[:n]]


def make_conversions(rng: Rng, catalogue: list[Row], n: int) -> list[Row]:
    """Impressions with click and purchase. Few look at the lower positions; who clicks buys what suits, and rather if it is cheap."""
    seen = [1.0, 0.75, 0.55, 0.4, 0.3, 0.2]
    rows: list[Row] = []
    for _ in range(n):
        item, (segment, (likes, style)) = catalogue[int(rng.integers(len(catalogue)))], pick(rng, list(SEGMENTS.items()))
        position, device = int(rng.integers(len(seen))), weighted(rng, ["phone", "desktop", "tablet"], [6, 3, 1])
        liked = item["category"] in likes
        attracted = 1 / (1 + np.exp(1.0 - 2.4 * liked - 1.2 * (item["style"] == style)))
        cheap = float(item["price"] or 20) < 20
        bought = 1 / (1 + np.exp(1.3 - 1.0 * liked - 1.3 * (item["style"] == style) - 0.9 * cheap + 0.8 * (device == "phone")))
        click = int(rng.random() < seen[position] * attracted)
        conversion = int(click and rng.random() < bought)
        rows.append({
            "segment": segment, "device": device, "position": position + 1, "price": item["price"],
            "ad_text": f"{item['brand']} {pick(rng, SYNONYMS[item['thing']])}, {pick(rng, SLOGANS)}",
            "click": click, "conversion": conversion, "propensity": seen[position],
        })  # fmt: skip
    return rows
