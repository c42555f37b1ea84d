"""What findings say of one thing: the sentence for several → that for one, which is shown when its number is 1.

As a catalogue of gettext holds the plural forms of its sentences: beside one another, not where they are used. A finding is made with its
number long before it is shown, and some count on after they are made. Where a page writes a number itself, `messages.plural` chooses.
"""

from mtl_core.base.marks import N_

ONE = {
    "No checkpoint of this run is left: it begins anew, and {n} steps are repeated.": N_(
        "No checkpoint of this run is left: it begins anew, and 1 step is repeated."
    ),
    "{count} values are no numbers from −1e30 to 1e30 (lines {lines}); the first is “{found}”.": N_(
        "1 value is no number from −1e30 to 1e30 (line {lines}): “{found}”."
    ),
    "{first} Likewise in {n} other places: {places}.": N_("{first} Likewise in 1 other place: {places}."),
    "After step {step}, {n} entries of its journal are missing or were altered.": N_(
        "After step {step}, 1 entry of its journal is missing or was altered."
    ),
    "All {n} evaluated rows of the task “{task}” were answered right.": N_(
        "The one evaluated row of the task “{task}” was answered right."
    ),
    "Comments above the header, left out: {count} lines; the first is “{found}”.": N_(
        "Comments above the header, left out: 1 line, “{found}”."
    ),
    "In {count} cells the character “{separator}” is part of a tag.": N_("In 1 cell the character “{separator}” is part of a tag."),
    "No user chose an item after {count} earlier items at other times.": N_("No user chose an item after 1 earlier item at another time."),
    "None of the {n} evaluated rows of the task “{task}” was answered right.": N_(
        "The one evaluated row of the task “{task}” was not answered right."
    ),
    "Quotation marks that open no cell: {count} lines (lines {lines}). They are read as characters.": N_(
        "Quotation marks that open no cell: 1 line (line {lines}). They are read as characters."
    ),
    (
        "Tags are separated in several ways, mostly by “{first}”; {count} cells use another way ({others}). All of these "
        "characters separate tags."
    ): N_(
        "Tags are separated in several ways, mostly by “{first}”; 1 cell uses another way ({others}). All of these characters "
        "separate tags."
    ),
    "The split has no validation rows; {count} training rows are used for it.": N_(
        "The split has no validation rows; 1 training row is used for it."
    ),
    "The tokenizer of the encoder “{name}” knows {n} tokens, all of them special: every text would be unknown. {remedy}": N_(
        "The tokenizer of the encoder “{name}” knows 1 token, a special one: every text would be unknown. {remedy}"
    ),
    "The {part} split has {n} rows of the rarer label: its measures hang on single rows.": N_(
        "The {part} split has 1 row of the rarer label: its measures hang on this row."
    ),
    "{columns} categorical columns have a single value in all training rows, or none that occurs {minimum} times.": N_(
        "1 categorical column has a single value in all training rows, or none that occurs {minimum} times."
    ),
    "{columns} columns contain no numbers.": N_("1 column contains no numbers."),
    "{count} answers do not occur in their passage as whole words; the first is “{found}”.": N_(
        "1 answer does not occur in its passage as whole words: “{found}”."
    ),
    "{count} answers do not start at the given character.": N_("1 answer does not start at the given character."),
    "{count} answers have more than {limit} words and symbols, so at least as many tokens.": N_(
        "1 answer has more than {limit} words and symbols, so at least as many tokens."
    ),
    ("{count} areas of merged cells have a value in their first cell only; the others are read as empty. The first is {cell}."): N_(
        "1 area of merged cells has a value in its first cell only; the others are read as empty: {cell}."
    ),
    "{count} cells are split into tags at “{separator}”.": N_("1 cell is split into tags at “{separator}”."),
    "{count} cells cannot be read as attributes; the first is “{found}”.": N_("1 cell cannot be read as attributes: “{found}”."),
    "{count} cells hold “{sign}” and are each read as one text.": N_("1 cell holds “{sign}” and is read as one text."),
    "{count} cells with {found} are read as missing.": N_("1 cell with {found} is read as missing."),
    "{count} classes have one training row only; the first is “{label}”.": N_("1 class has one training row only: “{label}”."),
    "{count} clicked rows have no conversion label.": N_("1 clicked row has no conversion label."),
    "{count} dates may be day first or month first; “{found}” is read day first.": N_(
        "1 date may be day first or month first; “{found}” is read day first."
    ),
    "{count} dates may be day first or month first; “{found}” is read month first.": N_(
        "1 date may be day first or month first; “{found}” is read month first."
    ),
    "{count} formulas have no result in the file and are read as empty; the first is {cell}.": N_(
        "1 formula has no result in the file and is read as empty: {cell}."
    ),
    "{count} groups are in more than one split.": N_("1 group is in more than one split."),
    "{count} knowledge cells start like JSON but are not; the first is “{found}”.": N_(
        "1 knowledge cell starts like JSON but is not: “{found}”."
    ),
    "{count} labels are below 0; the first is {found}.": N_("1 label is below 0: {found}."),
    "{count} labels are neither 0 nor 1; the first is “{found}”.": N_("1 label is neither 0 nor 1: “{found}”."),
    "{count} labels are not numbers; the first is “{found}”.": N_("1 label is no number: “{found}”."),
    "{count} labels have invisible characters or another Unicode form; the first is read as “{name}”.": N_(
        "1 label has invisible characters or another Unicode form; it is read as “{name}”."
    ),
    "{count} labels look like lists, beside others that do not; “{found}” is a class of its own.": N_(
        "1 label looks like a list, beside others that do not; “{found}” is a class of its own."
    ),
    "{count} lists cannot be read; the first is {found}": N_("1 list cannot be read: {found}"),
    "{count} lists of tags cannot be read; the first is {found}": N_("1 list of tags cannot be read: {found}"),
    "{count} negatives could not be sampled: there are too few items that the user did not choose.": N_(
        "1 negative could not be sampled: there are too few items that the user did not choose."
    ),
    "{count} numbers are ambiguous; “{found}” is read as {number}.": N_("1 number is ambiguous; “{found}” is read as {number}."),
    "{count} numbers are formatted for people; “{found}” is read as {number}.": N_(
        "1 number is formatted for people; “{found}” is read as {number}."
    ),
    "{count} numbers are in another currency than most: “{found}”, where most have {usual} (lines {lines}).": N_(
        "1 number is in another currency than most: “{found}”, where most have {usual} (line {lines})."
    ),
    ("{count} numbers are read as the table's other files write theirs: “{found}” as {number}. This file alone does not say so."): N_(
        "1 number is read as the table's other files write theirs: “{found}” as {number}. This file alone does not say so."
    ),
    "{count} of {of} rows have a conversion without a click. {treatment}": N_(
        "1 of {of} rows has a conversion without a click. {treatment}"
    ),
    "{count} of {of} rows have a dialogue without a reply.": N_("1 of {of} rows has a dialogue without a reply."),
    "{count} of {of} rows have a different number of speakers and turns.": N_(
        "1 of {of} rows has a different number of speakers and turns."
    ),
    "{count} of {of} rows have an empty answer, which means that the passage does not answer the question.": N_(
        "1 of {of} rows has an empty answer, which means that the passage does not answer the question."
    ),
    "{count} of {of} rows have an empty dialogue.": N_("1 of {of} rows has an empty dialogue."),
    "{count} of {of} rows have an empty history.": N_("1 of {of} rows has an empty history."),
    "{count} of {of} rows have an empty text.": N_("1 of {of} rows has an empty text."),
    "{count} of {of} rows have no knowledge.": N_("1 of {of} rows has no knowledge."),
    "{count} of {of} rows have no label.": N_("1 of {of} rows has no label."),
    "{count} of {of} rows have no propensity.": N_("1 of {of} rows has no propensity."),
    "{count} of {of} rows have no tag, {empty} of them an empty cell.": N_("1 of {of} rows has no tag, {empty} of them an empty cell."),
    "{count} of {of} rows have no tag.": N_("1 of {of} rows has no tag."),
    "{count} of {of} rows lack a number.": N_("1 of {of} rows lacks a number."),
    "{count} of {of} target texts ({share:.1%}) have more than {limit} words and symbols, so at least as many tokens.": N_(
        "1 of {of} target texts ({share:.1%}) has more than {limit} words and symbols, so at least as many tokens."
    ),
    "{count} positions are not whole numbers from 1; the first is {found}.": N_("1 position is no whole number from 1: {found}."),
    "{count} propensities are not above 0 and at most 1; the first is {found}.": N_("1 propensity is not above 0 and at most 1: {found}."),
    "{count} rows are ignored: their value stands for no split ({values}).": N_(
        "1 row is ignored: its value stands for no split ({values})."
    ),
    "{count} rows below the minimum rating, or without one, are dropped.": N_(
        "1 row below the minimum rating, or without one, is dropped."
    ),
    "{count} rows count positions otherwise than in characters, as their spans' own texts say; the first is “{found}”.": N_(
        "1 row counts positions otherwise than in characters, as its spans' own texts say: “{found}”."
    ),
    "{count} rows have a class and no parent.": N_("1 row has a class and no parent."),
    "{count} rows have a class that no training row has; the first is “{label}”.": N_(
        "1 row has a class that no training row has: “{label}”."
    ),
    "{count} rows have a label that often means a missing value: {found}.": N_(
        "1 row has a label that often means a missing value: {found}."
    ),
    "{count} rows have a tag that no training row has; the first is “{label}”.": N_("1 row has a tag that no training row has: “{label}”."),
    "{count} rows have an attribute with fewer than {minimum} values in the training rows; the first is “{found}”.": N_(
        "1 row has an attribute with fewer than {minimum} values in the training rows: “{found}”."
    ),
    ("{count} rows have another parent than most training rows of their class; the first is “{label}”, here under “{parent}”."): N_(
        "1 row has another parent than most training rows of its class: “{label}”, here under “{parent}”."
    ),
    "{count} rows have no group; each counts as a group of its own.": N_("1 row has no group; it counts as a group of its own."),
    "{count} rows have no time that can be read; they are ignored.": N_("1 row has no time that can be read; it is ignored."),
    "{count} rows have overlapping values; the first to be ignored is “{found}”.": N_(
        "1 row has overlapping values; “{found}” is ignored."
    ),
    "{count} rows have several answers.": N_("1 row has several answers."),
    "{count} rows have several labels; the first has {found}.": N_("1 row has several labels: {found}."),
    "{count} rows have spans that begin or end within a word; the first is “{found}”.": N_(
        "1 row has spans that begin or end within a word: “{found}”."
    ),
    "{count} rows have spans that do not lie in their text; the first is {found}.": N_(
        "1 row has spans that do not lie in its text: {found}."
    ),
    "{count} rows have spans whose own text does not stand in their place; the first is “{found}”.": N_(
        "1 row has spans whose own text does not stand in their place: “{found}”."
    ),
    "{count} rows have values that do not occur in their text as whole words; the first is “{found}”.": N_(
        "1 row has values that do not occur in its text as whole words: “{found}”."
    ),
    "{count} rows name a tag more than once; it counts once.": N_("1 row names a tag more than once; it counts once."),
    "{count} rows of items that do not match the pattern are dropped.": N_("1 row of an item that does not match the pattern is dropped."),
    "{count} rows of items that have no text anywhere are dropped.": N_("1 row of an item that has no text anywhere is dropped."),
    "{count} rows repeat the texts of another row in the same split.": N_("1 row repeats the texts of another row in the same split."),
    "{count} rows spell a tag differently from most; “{found}” is read as “{tag}”.": N_(
        "1 row spells a tag differently from most; “{found}” is read as “{tag}”."
    ),
    "{count} rows whose time cannot be read are dropped.": N_("1 row whose time cannot be read is dropped."),
    "{count} rows with a quantity of 0 or less, or none, are dropped (cancellations).": N_(
        "1 row with a quantity of 0 or less, or none, is dropped (a cancellation)."
    ),
    "{count} rows without a time are dropped.": N_("1 row without a time is dropped."),
    "{count} rows without a user are dropped.": N_("1 row without a user is dropped."),
    "{count} rows without an item are dropped.": N_("1 row without an item is dropped."),
    "{count} texts are in more than one split, so the model is tested on texts that it was trained on.": N_(
        "1 text is in more than one split, so the model is tested on a text that it was trained on."
    ),
    "{count} times have no offset beside others that have one; they are read as UTC.": N_(
        "1 time has no offset beside others that have one; it is read as UTC."
    ),
    "{count} times look like {found}, most others like {most}; all are ordered as the bare numbers that they are.": N_(
        "1 time looks like {found}, most others like {most}; all are ordered as the bare numbers that they are."
    ),
    "{count} training rows are out of scope; rejection does not use them.": N_(
        "1 training row is out of scope; rejection does not use it."
    ),
    "{count} values are not numbers (lines {lines}); the first is “{found}”.": N_("1 value is no number (line {lines}): “{found}”."),
    "{count} values are true or false and are read as 1 and 0, beside numbers.": N_(
        "1 value is true or false and is read as 1 or 0, beside numbers."
    ),
    "{count} values of the tag are neither 0 nor 1 (lines {lines}); the first is “{found}”.": N_(
        "1 value of the tag is neither 0 nor 1 (line {lines}): “{found}”."
    ),
    "{tags} tags have fewer than {least} training rows and are ignored, in {count} rows; the first is “{tag}”.": N_(
        "1 tag has fewer than {least} training rows and is ignored, in {count} rows: “{tag}”."
    ),
    "{texts} texts stand in several rows with different labels, {count} rows in all: “{text}” is {found}.": N_(
        "1 text stands in several rows with different labels, {count} rows in all: “{text}” is {found}."
    ),
}
"""The number is the place of the first that the second lacks."""
