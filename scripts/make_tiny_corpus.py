#!/usr/bin/env python3
"""Writes the texts of the "Retort tiny" study: a made-up world told by a probabilistic grammar.

    make_tiny_corpus.py train OUT.txt [--megabytes 12] [--seed 1]
    make_tiny_corpus.py study FOLDER            calibration.txt, evaluation.txt, prompts.jsonl

Documents are separated by one empty line and hold none inside. Each keeps a small state (who,
where, which thing, how many), so that later sentences depend on earlier ones, sums are correct
and questions have one right answer: a model that loses precision shows it. The same seed gives
the same bytes with every Python version: only random() is used, which Python guarantees.
No text of others is used; see docs/data-origin.md.
"""

import argparse
import json
import random
from pathlib import Path

from make_tiny_words import (ANIMALS, BY_SIZE, COLOURS, COLOURS_OF, COUNTED, COUNTRIES, DAYS, FACTS, FEELINGS,
                             FOODS, HE, HOWTOS, JOBS, MATERIALS, MONTHS, NUMBER_WORDS, OBJECTS, OPPOSITES,
                             ROOMS, SEASON_OF, SHE, SPOTS, TOWNS, TRANSPORT, WEATHER)

OVERLAP_WORDS = 12  # evaluation and calibration share no run of this many words


class Rng:
    """Choices made from random() alone, so that the stream never changes between versions."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def below(self, n):
        return int(self._random.random() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, p):
        return self._random.random() < p

    def one(self, items):
        items = list(items)
        return items[self.below(len(items))]

    def some(self, items, n):
        """n different items, in random order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(n)]


class Person:
    def __init__(self, rng, not_named=()):
        female = rng.chance(0.5)
        self.name = rng.one([n for n in (SHE if female else HE) if n not in not_named])
        self.he, self.his, self.him = ("she", "her", "her") if female else ("he", "his", "him")
        self.He = self.he.capitalize()


def a(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def cap(text):
    return text[0].upper() + text[1:]


def count(n, noun_plural):
    return f"{n} {noun_plural[:-3] + 'y' if n == 1 and noun_plural.endswith('ies') else noun_plural[:-1] if n == 1 else noun_plural}"


def ask(question, answer):
    return f"Question: {question}?\nAnswer: {answer}"


def questions(rng, pairs, most=3):
    """Up to `most` of the (question, answer) pairs, as lines."""
    n = min(len(pairs), rng.between(0, most))
    return "".join("\n" + ask(q, r) for q, r in rng.some(pairs, n))


# Stories: each function returns (text, [(question, answer)]).

def opening(rng, hero, town):
    job = rng.one(JOBS)
    place, tool, does, what = JOBS[job]
    return rng.one([
        f"{hero.name} lived in {town}.",
        f"{hero.name} was {a(job)} in {town}. Every day {hero.he} worked at {place} with {tool}.",
        f"In the town of {town} there lived {a(job)} named {hero.name}.",
        f"Once there was {a(job)} in {town} who was called {hero.name}. {hero.He} {does} {what}.",
        f"On a {rng.one(DAYS)} in {rng.one(MONTHS)}, {hero.name} walked through {town}.",
    ])


def weather_line(rng):
    kind = rng.one(WEATHER)
    happened, effect, _, sky = WEATHER[kind]
    return rng.one([f"{happened} all morning. {effect}.", f"{happened}, and the sky was {sky}.",
                    f"{effect}, because {happened[0].lower() + happened[1:]} in the night."
                    if not happened.startswith("The") else f"{effect}. {happened}.", ""])


def story_lost(rng):
    hero = Person(rng)
    friend = Person(rng, [hero.name])
    town, thing, colour = rng.one(TOWNS), rng.one(OBJECTS), rng.one(COLOURS)
    room, wrong = rng.some(ROOMS, 2)
    spot, feeling = rng.one(SPOTS), rng.one(["sad", "worried", "angry"])
    giver = rng.one(["grandmother", "uncle", "aunt", "brother", "sister", "neighbour"])
    text = " ".join(filter(None, [
        opening(rng, hero, town),
        rng.one([f"{hero.He} had {a(colour)} {thing} that {hero.his} {giver} had given to {hero.him}.",
                 f"{cap(hero.his)} {giver} had once given {hero.him} {a(colour)} {thing}.",
                 f"What {hero.he} loved most was {a(colour)} {thing}, a gift from {hero.his} {giver}."]),
        weather_line(rng),
        rng.one([f"One day the {thing} was gone, and {hero.name} was {feeling}.",
                 f"But one evening {hero.name} could not find the {thing}. {hero.He} was very {feeling}.",
                 f"Then the {thing} disappeared. {hero.name} felt {feeling}."]),
        rng.one([f"First {hero.he} looked in {wrong}, but the {thing} was not there.",
                 f"{hero.He} searched {wrong} and found nothing."]),
        rng.one([f"{friend.name} came to help. \"Where did you see it last?\" asked {friend.name}. "
                 f"\"In {room},\" said {hero.name}.",
                 f"\"I have lost my {colour} {thing},\" said {hero.name}. \"Let us look in {room},\" "
                 f"{friend.name} answered."]),
        rng.one([f"Together they went to {room}, and there, {spot}, lay the {colour} {thing}.",
                 f"They looked in {room}. The {thing} was {spot}.",
                 f"In {room} {friend.name} looked {spot} and found the {colour} {thing}."]),
        rng.one([f"{hero.name} thanked {friend.name} and was happy again.",
                 f"\"Thank you, {friend.name}!\" said {hero.name}. From that day on {hero.he} kept the {thing} in a safe place.",
                 f"{hero.name} laughed and put the {thing} into {hero.his} bag. Then they both went home."]),
    ]))
    return text, [(f"What did {hero.name} lose", f"the {colour} {thing}"),
                  (f"What colour was the {thing}", colour), (f"Who helped {hero.name}", friend.name),
                  (f"Where was the {thing}", f"in {room}, {spot}"), (f"Where did {hero.name} look first", f"in {wrong}"),
                  (f"Who gave the {thing} to {hero.name}", f"{hero.his} {giver}")]


def story_market(rng):
    hero = Person(rng)
    seller = Person(rng, [hero.name])
    town, thing, material = rng.one(TOWNS), rng.one(OBJECTS), rng.one(MATERIALS)
    money = rng.between(8, 20)
    price = rng.between(2, money - 2)
    left = money - price
    text = " ".join([
        opening(rng, hero, town),
        rng.one([f"{hero.He} went to the market with {money} coins.",
                 f"{hero.He} had {money} coins and wanted to buy {a(thing)}.",
                 f"With {money} coins in {hero.his} pocket {hero.he} walked to the market."]),
        rng.one([f"There {seller.name} sold {a(thing)} made of {material}.",
                 f"At the first table stood {seller.name} with {a(thing)} of {material}."]),
        rng.one([f"\"How much is the {thing}?\" asked {hero.name}. \"It costs {price} coins,\" said {seller.name}.",
                 f"\"The {thing} costs {price} coins,\" said {seller.name}. \"That is a good price,\" said {hero.name}."]),
        rng.one([f"{hero.name} paid {price} coins and had {left} coins left, because {money} - {price} = {left}.",
                 f"{hero.name} gave {seller.him} {price} of the {money} coins. Now {hero.he} had {left} coins left."]),
        rng.one([f"{hero.He} carried the {thing} home and showed it to everybody.",
                 f"At home {hero.he} put the {material} {thing} on the table.",
                 f"{seller.name} smiled, and {hero.name} went home with the new {thing}."]),
    ])
    return text, [(f"How many coins did {hero.name} have left", str(left)), (f"How much did the {thing} cost", f"{price} coins"),
                  (f"What did {hero.name} buy", a(thing)), (f"Who sold the {thing}", seller.name),
                  (f"What was the {thing} made of", material)]


def story_animal(rng):
    hero = Person(rng)
    town, animal = rng.one(TOWNS), rng.one([k for k, v in ANIMALS.items() if v[4] != "makes no sound"])
    plural, _, _, _, sound, food, home, young = ANIMALS[animal]
    pet = rng.one(["Pip", "Moss", "Bramble", "Dusty", "Pebble", "Clover", "Ginger", "Shadow", "Biscuit", "Star"])
    days = rng.between(2, 9)
    place = rng.one(["a river", "a bridge", "a mill", "an old wall", "a hedge", "a gate"])
    text = " ".join(filter(None, [
        opening(rng, hero, town),
        rng.one([f"One day {hero.he} found a young {animal} near {place}.",
                 f"Near {place} {hero.he} saw a small {animal} all alone."]),
        rng.one([f"{hero.He} called it {pet}.", f"\"I will call you {pet},\" said {hero.name}."]),
        rng.one([f"A young {animal} is called {a(young)}, and this one was hungry.", f"The {animal} was hungry and cold.",
                 f"{pet} was afraid at first."]),
        rng.one([f"{hero.name} gave it {food}, because {plural} eat {food}.", f"{pet} ate {food} and slept for a long time."]),
        weather_line(rng),
        rng.one([f"After {days} days {pet} was strong again.", f"For {days} days {hero.name} cared for {pet}."]),
        rng.one([f"{plural.capitalize()} live in {home}, so {hero.he} took {pet} there.",
                 f"Then {hero.he} brought {pet} to {home}, where {plural} live."]),
        rng.one([f"Whenever {hero.name} comes by, {pet} {sound}.", f"{pet} looked back once and was gone.",
                 f"{hero.name} was {rng.one(['happy', 'proud', 'calm'])}, and {pet} was free."]),
    ]))
    return text, [(f"What animal was {pet}", a(animal)), (f"Where did {hero.name} find {pet}", f"near {place}"),
                  (f"What did {pet} eat", food), (f"Who found {pet}", hero.name)]


def story_trip(rng):
    hero = Person(rng)
    start, goal = rng.some(TOWNS, 2)
    vehicle, stop = rng.one(TRANSPORT)
    day, hour, hours = rng.one(DAYS), rng.between(6, 11), rng.between(2, 8)
    arrive = (hour + hours - 1) % 12 + 1
    host = Person(rng, [hero.name])
    gift = rng.one(OBJECTS)
    kind = rng.one(WEATHER)
    text = " ".join([
        rng.one([f"On {day} {hero.name} travelled from {start} to {goal} by {vehicle}.",
                 f"{hero.name} wanted to visit {host.name} in {goal}. So on {day} {hero.he} left {start} by {vehicle}."]),
        f"The {vehicle} left {stop} at {hour} o'clock.",
        rng.one([f"The trip took {hours} hours.", f"It was a trip of {hours} hours."]),
        rng.one([f"{WEATHER[kind][0]}, so {hero.name} took {WEATHER[kind][2]} along.",
                 f"{WEATHER[kind][0]}. It was good that {hero.he} had {WEATHER[kind][2]}."]),
        rng.one([f"At {arrive} o'clock the {vehicle} reached {goal}.", f"{hero.He} arrived in {goal} at {arrive} o'clock."]),
        rng.one([f"{host.name} was already waiting.", f"There stood {host.name} and waved."]),
        rng.one([f"{hero.name} gave {host.him} {a(gift)}.", f"\"This {gift} is for you,\" said {hero.name}."]),
        rng.one([f"{host.name} was very {rng.one(['happy', 'surprised', 'proud'])} about the {gift}.",
                 f"\"What a beautiful {gift}!\" said {host.name}."]),
        rng.one([f"In the evening {hero.name} went back to {start}.", f"{hero.name} stayed in {goal} until the next day.",
                 f"They ate {rng.one(FOODS)} and talked about {start} until it was late."]),
    ])
    return text, [(f"Where did {hero.name} go", f"to {goal}"), (f"How did {hero.name} travel", f"by {vehicle}"),
                  (f"When did the {vehicle} leave", f"at {hour} o'clock"), (f"Who was waiting in {goal}", host.name),
                  (f"What did {hero.name} give to {host.name}", a(gift)), (f"On which day did {hero.name} travel", f"on {day}")]


def story_share(rng):
    people = []
    while len(people) < rng.between(2, 4):
        people.append(Person(rng, [p.name for p in people]))
    n, each, noun = len(people), rng.between(2, 6), rng.one(COUNTED)
    total = n * each
    names = ", ".join(p.name for p in people[:-1]) + " and " + people[-1].name
    place, feeling = rng.one(ROOMS), rng.one(FEELINGS)
    text = " ".join(filter(None, [
        rng.one([f"{names} found {total} {noun} in {place}.", f"In {place}, {names} counted {total} {noun}."]),
        rng.one([f"\"Let us share them,\" said {people[0].name}.", f"\"How shall we share them?\" asked {people[-1].name}."]),
        f"There were {NUMBER_WORDS[n]} children, and {total} / {n} = {each}.",
        rng.one([f"So each of them got {each} {noun}.", f"Each child took {each} {noun}, and nothing was left."]),
        rng.one([f"{people[1].name} was {feeling} and gave one of {people[1].his} {noun} back. Then {people[1].he} had {each - 1}.",
                 f"{people[0].name} put {people[0].his} {each} {noun} into {a(rng.one(['box', 'bag', 'basket']))}.", ""]),
        weather_line(rng),
    ]))
    return text, [(f"How many {noun} did each child get", str(each)), ("Where were the children", f"in {place}"),
                  (f"How many {noun} did they find", str(total))]


def story_compare(rng):
    one = Person(rng)
    two = Person(rng, [one.name])
    what, more, less, unit = rng.one([("old", "older", "younger", "years"), ("tall", "taller", "shorter", "feet"),
                                      ("far", "farther", "less far", "miles"), ("fast", "faster", "slower", "steps a minute")])
    x, y = rng.some(range(5, 30), 2)
    verb = {"old": "is", "tall": "has a tree of", "far": "walked", "fast": "makes"}[what]
    subject = {"tall": "tree"}.get(what)
    first, second = (one, two) if x > y else (two, one)
    town = rng.one(TOWNS)
    lines = [f"{one.name} and {two.name} live in {town}." if rng.chance(0.5) else f"Two friends met in {town}: {one.name} and {two.name}.",
             f"{one.name} {verb} {x} {unit}{' old' if what == 'old' else ''}.",
             f"{two.name} {verb} {y} {unit}{' old' if what == 'old' else ''}."]
    big, small = max(x, y), min(x, y)
    if subject:
        lines.append(f"The {subject} of {first.name} is {more} than the {subject} of {second.name}, because {big} is greater than {small}.")
    elif what == "old":
        lines.append(f"So {first.name} is {more} than {second.name}, because {big} is greater than {small}.")
    elif what == "far":
        lines.append(f"So {first.name} walked {more} than {second.name}, because {big} is greater than {small}.")
    else:
        lines.append(f"So {first.name} is {more} than {second.name}, because {big} is greater than {small}.")
    lines.append(f"The difference is {big} - {small} = {big - small}.")
    question = {"old": "Who is older", "tall": "Who has the taller tree", "far": "Who walked farther", "fast": "Who is faster"}[what]
    return " ".join(lines), [(question, first.name), (f"Where did {one.name} and {two.name} meet" if "met" in lines[0] else
                                                      f"Where do {one.name} and {two.name} live", f"in {town}"),
                             ("What is the difference", str(big - small))]


STORIES = [story_lost, story_market, story_animal, story_trip, story_share, story_compare]


def story(rng):
    text, pairs = rng.one(STORIES)(rng)
    return text + questions(rng, pairs)


# Other kinds of documents: each function returns text.

def dialogue(rng):
    one = Person(rng)
    two = Person(rng, [one.name])
    thing, colour = rng.one(OBJECTS), rng.one(COLOURS)
    room, spot, day = rng.one(ROOMS), rng.one(SPOTS), rng.one(DAYS)
    food, town = rng.one(FOODS), rng.one(TOWNS)
    talks = [
        [(one, f"Good {rng.one(['morning', 'evening'])}, {two.name}. Where is the {thing}?"), (two, f"Do you mean the {colour} {thing}?"),
         (one, f"Yes, the {colour} one."), (two, f"It is in {room}, {spot}."), (one, f"Thank you. I will look in {room}.")],
        [(one, f"What are you doing on {day}?"), (two, f"On {day} I am going to {town}."), (one, f"Why are you going to {town}?"),
         (two, f"I want to buy {food} there."), (one, f"Then please bring some {food} for me, too."), (two, f"I will bring {food} for you on {day}.")],
        [(one, f"I am {rng.one(['hungry', 'very hungry'])}, {two.name}."), (two, f"We still have {food} in the kitchen."),
         (one, f"I do not like {food}."), (two, f"Then you may have {rng.one([f for f in FOODS if f != food])}."), (one, "That is better.")],
    ]
    n, m = rng.between(2, 15), rng.between(2, 15)
    noun = rng.one(COUNTED)
    talks.append([(one, f"I have {n} {noun}. How many do you have?"), (two, f"I have {m} {noun}."), (one, "How many do we have together?"),
                  (two, f"We have {n + m} {noun}, because {n} + {m} = {n + m}."), (one, f"So {one.name} and {two.name} have {n + m} {noun}!")])
    animal = rng.one(ANIMALS)
    plural, group, legs, _, _, eats, _, _ = ANIMALS[animal]
    talks.append([(one, f"What do {plural} eat?"), (two, f"They eat {eats}."), (one, f"And how many legs does {a(animal)} have?"),
                  (two, "It has no legs." if legs == 0 else f"It has {NUMBER_WORDS[legs]} legs."),
                  (one, f"Then it is {a(group)}."), (two, f"Yes, {a(animal)} is {a(group)}.")])
    return "\n".join(f"{who.name}: {says}" for who, says in rng.one(talks))


def howto(rng):
    title, needs, steps, result = rng.one(HOWTOS)
    n = rng.between(2, 9)
    steps = [s.format(n=n) for s in steps]
    head = rng.one([f"How to {title}", f"To {title} in {len(steps)} steps", f"How do I {title}?"])
    if rng.chance(0.3):
        body = " ".join(f"{o}, {s[0].lower() + s[1:]}." for o, s in
                        zip(["First", "Second", "Third", "After that", "Then", "At last"], steps))
        return f"{head}\nYou need {needs}. {body} {result}."
    return f"{head}\nYou need {needs}.\n" + "\n".join(f"{i}. {s}." for i, s in enumerate(steps, 1)) + f"\n{result}."


def animal_facts(rng):
    animal = rng.one(ANIMALS)
    plural, group, legs, cover, sound, food, home, young = ANIMALS[animal]
    legs_text = "no legs" if legs == 0 else f"{NUMBER_WORDS[legs]} legs"
    lines = [f"{cap(a(animal))} is {a(group)}.", f"It has {legs_text}.", f"Its body is covered with {cover}.",
             f"{cap(plural)} eat {food}.", f"{cap(a(animal))} lives in {home}.", f"A young {animal} is called {a(young)}.",
             f"{cap(a(animal))} {sound}."]
    pairs = [(f"What do {plural} eat", food), (f"How many legs does {a(animal)} have", NUMBER_WORDS[legs] if legs else "none"),
             (f"What kind of animal is {a(animal)}", a(group)), (f"What is a young {animal} called", a(young)),
             (f"Where does {a(animal)} live", f"in {home}"), (f"What covers {a(animal)}", cover)]
    if sound != "makes no sound":
        pairs.append((f"Which sound does {a(animal)} make", f"it {sound}"))
    kept = lines[:1] + rng.some(lines[1:], rng.between(2, 6))
    return " ".join(kept) + questions(rng, pairs, 4)


def country_facts(rng):
    lines = []
    for country in rng.some(COUNTRIES, rng.between(1, 4)):
        capital, continent = COUNTRIES[country]
        lines.append(rng.one([f"The capital of {country} is {capital}.", f"{capital} is the capital of {country}.",
                              f"{country} lies in {continent}. The capital of {country} is {capital}.",
                              f"{country} is a country in {continent}."]))
    country = rng.one(COUNTRIES)
    capital, continent = COUNTRIES[country]
    return " ".join(lines) + questions(rng, [(f"What is the capital of {country}", capital),
                                             (f"On which continent is {country}", continent),
                                             (f"Of which country is {capital} the capital", country)])


def opposite_facts(rng):
    pairs = rng.some(OPPOSITES, rng.between(3, 6))
    out = [rng.one([f"The opposite of {x} is {y}.", f"The opposite of {y} is {x}."]) for x, y in pairs]
    return " ".join(out)


def colour_facts(rng):
    things = rng.some(COLOURS_OF, rng.between(2, 5))
    return " ".join(f"{cap(t)} is {COLOURS_OF[t]}." for t in things) + questions(
        rng, [(f"What colour is {t}", COLOURS_OF[t]) for t in rng.some(COLOURS_OF, 2)], 2)


def calendar_facts(rng):
    i, j = rng.below(7), rng.below(12)
    lines = [f"The day after {DAYS[i]} is {DAYS[(i + 1) % 7]}.", f"The day before {DAYS[i]} is {DAYS[i - 1]}.",
             f"{MONTHS[j]} comes before {MONTHS[(j + 1) % 12]}.", f"{MONTHS[(j + 1) % 12]} comes after {MONTHS[j]}.",
             f"{MONTHS[j]} is a month in {SEASON_OF[MONTHS[j]]}.", f"{MONTHS[j]} is month number {j + 1} of the year."]
    return " ".join(rng.some(lines, rng.between(2, 5))) + questions(
        rng, [(f"Which day comes after {DAYS[i]}", DAYS[(i + 1) % 7]), (f"In which season is {MONTHS[j]}", SEASON_OF[MONTHS[j]]),
              (f"Which month comes after {MONTHS[j]}", MONTHS[(j + 1) % 12])], 2)


def size_facts(rng):
    out = []
    for _ in range(rng.between(2, 4)):
        i, j = sorted(rng.some(range(len(BY_SIZE)), 2))
        out.append(rng.one([f"{cap(a(BY_SIZE[j]))} is bigger than {a(BY_SIZE[i])}.", f"{cap(a(BY_SIZE[i]))} is smaller than {a(BY_SIZE[j])}."]))
    i, j = sorted(rng.some(range(len(BY_SIZE)), 2))
    x, y = rng.some([BY_SIZE[i], BY_SIZE[j]], 2)
    return " ".join(out) + questions(rng, [(f"Which is bigger, {a(x)} or {a(y)}", a(BY_SIZE[j])),
                                           (f"Which is smaller, {a(x)} or {a(y)}", a(BY_SIZE[i]))], 2)


def common_facts(rng):
    facts = rng.some(FACTS, rng.between(2, 5))
    return "\n".join(ask(q, r) if rng.chance(0.5) else f"{s}." for q, r, s in facts)


def sum_line(rng):
    op = rng.below(4)
    if op == 0:
        x, y = rng.between(0, 20), rng.between(0, 20)
        return f"{x} + {y} = {x + y}"
    if op == 1:
        x, y = rng.between(0, 20), rng.between(0, 20)
        x, y = max(x, y), min(x, y)
        return f"{x} - {y} = {x - y}"
    x, y = rng.between(1, 10), rng.between(1, 10)
    return f"{x} * {y} = {x * y}" if op == 2 else f"{x * y} / {y} = {x}"


def sums(rng):
    return "\n".join(sum_line(rng) for _ in range(rng.between(6, 16)))


def counting(rng):
    start, step, n = rng.between(0, 20), rng.one([1, 2, 3, 5, 10]), rng.between(5, 9)
    seq = [start + step * i for i in range(n)]
    x, y = rng.some(range(0, 60), 2)
    lines = [f"Counting by {step}: " + ", ".join(map(str, seq)) + ".",
             f"Counting down from {seq[-1]} by {step}: " + ", ".join(map(str, seq[::-1])) + ".",
             f"{max(x, y)} is greater than {min(x, y)}.", f"{min(x, y)} is less than {max(x, y)}.",
             f"Half of {2 * x} is {x}.", f"Twice {y} is {2 * y}.",
             f"{x} is an {'even' if x % 2 == 0 else 'odd'} number."]
    return " ".join(rng.some(lines, rng.between(2, 5)))


def word_problem(rng):
    who = Person(rng)
    noun, place = rng.one(COUNTED), rng.one(ROOMS)
    x, y = rng.between(3, 15), rng.between(1, 12)
    if rng.chance(0.5):
        return ask(f"{who.name} has {x} {noun} and finds {y} more in {place}. How many {noun} does {who.he} have now",
                   f"{x} + {y} = {x + y}, so {who.name} has {x + y} {noun}")
    x, y = max(x, y), min(x, y)
    return ask(f"{who.name} has {x} {noun} and gives {y} of them away. How many {noun} are left",
               f"{x} - {y} = {x - y}, so {x - y} {noun} are left")


def code(rng):
    x, y = rng.between(1, 12), rng.between(1, 9)
    p, q = rng.some(["x", "y", "n", "m", "k", "total", "size", "count"], 2)
    name, op, word = rng.one([("add", "+", "sum"), ("subtract", "-", "difference"), ("multiply", "*", "product")])
    result = {"+": x + y, "-": x - y, "*": x * y}[op]
    items = [rng.between(0, 9) for _ in range(rng.between(3, 5))]
    names = rng.some(SHE + HE, 3)
    word_text = rng.one(OBJECTS)
    start, stop = rng.between(0, 5), rng.between(6, 9)
    return rng.one([
        f"# Returns the {word} of {p} and {q}.\ndef {name}({p}, {q}):\n    return {p} {op} {q}\n\nprint({name}({x}, {y}))  # {result}",
        f"{p} = {x}\n{q} = {y}\nprint({p} {op} {q})  # prints {result}",
        f"numbers = {items}\nprint(len(numbers))  # {len(items)}\nprint(max(numbers))  # {max(items)}\nprint(sum(numbers))  # {sum(items)}",
        f"names = {names!r}\nfor name in names:\n    print(\"Hello,\", name)\n# prints three lines, the first is Hello, {names[0]}",
        f"word = \"{word_text}\"\nprint(word.upper())  # {word_text.upper()}\nprint(len(word))  # {len(word_text)}",
        f"for {p} in range({start}, {stop}):\n    print({p})\n# prints the numbers from {start} to {stop - 1}",
        f"if {x} > {y}:\n    print(\"greater\")\nelse:\n    print(\"not greater\")\n# prints {'greater' if x > y else 'not greater'}",
        f"{p} = {x}\nwhile {p} > 0:\n    {p} = {p} - 1\nprint({p})  # 0",
    ]).replace("\n\n", "\n")


def letter(rng):
    writer = Person(rng)
    reader = Person(rng, [writer.name])
    town, day, food = rng.one(TOWNS), rng.one(DAYS), rng.one(FOODS)
    animal, thing = rng.one(ANIMALS), rng.one(OBJECTS)
    kind, month = rng.one(WEATHER), rng.one(MONTHS)
    body = [rng.one([f"thank you for the {thing} that you sent me.", f"your {thing} arrived on {day}."]),
            rng.one([f"It is {month} in {town}, and {WEATHER[kind][0][0].lower() + WEATHER[kind][0][1:]} every day.",
                     f"Here in {town} it is already {SEASON_OF[month]}."]),
            rng.one([f"Yesterday I saw {a(animal)} near my window.", f"My {animal} eats {ANIMALS[animal][5]} and is well."]),
            rng.one([f"On {day} we will eat {food} together.", f"Please come on {day} and bring some {food}."]),
            rng.one([f"I still use the {thing} every day.", f"I have put the {thing} {rng.one(SPOTS)}."])]
    kept = [body[0]] + [s for s in body[1:] if rng.chance(0.75)]
    return f"Dear {reader.name},\n" + " ".join(kept) + f"\n{rng.one(['Your friend', 'With love', 'Best wishes'])},\n{writer.name}"


def report(rng):
    town, day, kind = rng.one(TOWNS), rng.one(DAYS), rng.one(WEATHER)
    month = rng.one(MONTHS)
    high = {"winter": rng.between(1, 8), "spring": rng.between(9, 18), "summer": rng.between(20, 32), "autumn": rng.between(7, 16)}[SEASON_OF[month]]
    fall = rng.between(2, 6)
    text = (f"Weather in {town}, {day}, {rng.between(1, 28)} {month}. {WEATHER[kind][0]} in the morning. {WEATHER[kind][1]}. "
            f"At noon it was {high} degrees, at night {fall} degrees less, that is {high - fall} degrees. "
            f"People needed {WEATHER[kind][2]}.")
    return text + questions(rng, [(f"How warm was it in {town} at noon", f"{high} degrees"), ("What did people need", WEATHER[kind][2]),
                                  ("In which season was that", SEASON_OF[month])], 2)


def work(rng):
    job = rng.one(JOBS)
    place, tool, does, what = JOBS[job]
    who = Person(rng)
    lines = [f"{who.name} is {a(job)}.", f"{cap(a(job))} works at {place}.", f"{who.He} uses {tool}.", f"{cap(a(job))} {does} {what}."]
    return " ".join(lines[:1] + rng.some(lines[1:], rng.between(2, 3))) + questions(
        rng, [(f"Where does {a(job)} work", f"at {place}"), (f"What does {a(job)} use", tool), (f"Who {does} {what}", a(job)),
              (f"What is the work of {who.name}", f"{who.he} is {a(job)}")])


# (weight, generator): how often each kind of document comes.
KINDS = [(30, story), (9, dialogue), (3, howto), (8, animal_facts), (7, country_facts), (3, opposite_facts), (3, colour_facts),
         (3, calendar_facts), (4, size_facts), (4, common_facts), (12, sums), (4, counting), (6, word_problem), (6, code),
         (5, letter), (4, report), (4, work)]


def document(rng):
    at = rng.below(sum(w for w, _ in KINDS))
    for weight, make in KINDS:
        if at < weight:
            return make(rng)
        at -= weight
    raise AssertionError("weights")


def runs(text):
    words = text.lower().split()
    return {" ".join(words[i:i + OVERLAP_WORDS]) for i in range(len(words) - OVERLAP_WORDS + 1)}


def text_of(seed, size, avoid=frozenset()):
    """At least `size` bytes of documents; none shares a run of 12 words with `avoid`."""
    rng, documents, total = Rng(seed), [], 0
    while total < size:
        made = document(rng)
        if avoid and not avoid.isdisjoint(runs(made)):
            continue
        documents.append(made)
        total += len(made) + 2
    return "\n\n".join(documents) + "\n"


# Labelled prompts.

def choice(rng, kind, context, right, wrong):
    options = [right] + rng.some([w for w in dict.fromkeys(wrong) if w != right], 3)
    order = rng.some(range(4), 4)
    return {"context": context, "choices": [options[i] for i in order], "answer": order.index(0), "kind": kind}


def prompts(seed):
    """Rows of resources/tiny/prompts.jsonl: exact answers and choices, in the forms of the training text."""
    rng, rows = Rng(seed), []

    def add(row):
        key = row.get("context") or row["prompt"]
        if all(key != (r.get("context") or r["prompt"]) for r in rows):
            rows.append(row)

    while len(rows) < 40:  # sums, after two shown ones
        line = sum_line(rng)
        shown = "\n".join(sum_line(rng) for _ in range(2))
        left, right = line.split(" = ")
        add({"prompt": f"{shown}\n{left} =", "answer": right, "kind": "arithmetic"})
    while len(rows) < 64:
        make = rng.one(STORIES)
        text, pairs = make(rng)
        question, answer = rng.one(pairs)
        add({"prompt": f"{text}\nQuestion: {question}?\nAnswer:", "answer": answer, "kind": "story"})
    while len(rows) < 76:
        lines = code(rng).split("\n")
        at = [i for i, s in enumerate(lines) if "  # " in s]
        if at:
            before, answer = lines[at[-1]].rsplit("  # ", 1)
            answer = answer.removeprefix("prints ")
            prefix = "prints " if "# prints" in lines[at[-1]] else ""
            add({"prompt": "\n".join(lines[:at[-1]] + [f"{before}  # {prefix}".rstrip()]), "answer": answer, "kind": "code"})
    capitals = [c for c, _ in COUNTRIES.values()]
    while len(rows) < 92:
        country = rng.one(COUNTRIES)
        add(choice(rng, "general", f"The capital of {country} is", COUNTRIES[country][0], capitals))
    while len(rows) < 104:
        animal = rng.one(ANIMALS)
        plural, group, _, _, _, food, _, young = ANIMALS[animal]
        add(rng.one([choice(rng, "general", f"Question: What do {plural} eat?\nAnswer:", food, [v[5] for v in ANIMALS.values()]),
                     choice(rng, "general", f"Question: What is a young {animal} called?\nAnswer:", a(young), [a(v[7]) for v in ANIMALS.values()])]))
    while len(rows) < 114:
        question, answer, _ = rng.one(FACTS)
        add(choice(rng, "general", f"Question: {question}?\nAnswer:", answer, [r for _, r, _ in FACTS]))
    while len(rows) < 122:
        x, y = rng.one(OPPOSITES)
        add(choice(rng, "general", f"The opposite of {x} is", y, [w for pair in OPPOSITES for w in pair if w != x]))
    while len(rows) < 136:
        text, pairs = story_lost(rng)
        wanted = rng.below(4)  # thing, colour, helper, place
        question, answer = pairs[wanted]
        words = text.replace(",", " ").replace(".", " ")
        if wanted == 2:
            wrong = [n for n in SHE + HE if n not in words]
        elif wanted == 1:
            wrong = COLOURS
        elif wanted == 0:
            wrong = [f"the {c} {o}" for c in COLOURS for o in OBJECTS]
        else:
            wrong = [f"in {r}, {s}" for r in ROOMS for s in SPOTS]
        add(choice(rng, "story", f"{text}\nQuestion: {question}?\nAnswer:", answer, wrong))
    while len(rows) < 144:
        i, j = sorted(rng.some(range(len(BY_SIZE)), 2))
        x, y = rng.some([BY_SIZE[i], BY_SIZE[j]], 2)
        others = [a(z) for z in BY_SIZE if z not in (x, y)]
        add(choice(rng, "general", f"Question: Which is bigger, {a(x)} or {a(y)}?\nAnswer:", a(BY_SIZE[j]), [a(BY_SIZE[i])] + rng.some(others, 2)))
    for i, row in enumerate(r for r in rows if "choices" in r):  # the right one stands in each place equally often
        row["choices"].insert(i % 4, row["choices"].pop(row["answer"]))
        row["answer"] = i % 4
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["train", "study"])
    parser.add_argument("output", type=Path)
    parser.add_argument("--megabytes", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.what == "train":
        args.output.write_text(text_of(args.seed, int(args.megabytes * 1e6)))
        return
    calibration = text_of(1001, 48_000)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "calibration.txt").write_text(calibration)
    (args.output / "evaluation.txt").write_text(text_of(2002, 96_000, frozenset(runs(calibration))))
    with open(args.output / "prompts.jsonl", "w") as out:
        for row in prompts(3003):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
