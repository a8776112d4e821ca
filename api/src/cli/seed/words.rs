//! What example people are called, and what they have to do.

/// Names, and the part of the address before the number.
pub(super) const PEOPLE: &[(&str, &str)] = &[
    ("Ada Lovelace", "ada"),
    ("Grace Hopper", "grace"),
    ("Alan Turing", "alan"),
    ("Katherine Johnson", "katherine"),
    ("Edsger Dijkstra", "edsger"),
    ("Barbara Liskov", "barbara"),
    ("Donald Knuth", "donald"),
    ("Hedy Lamarr", "hedy"),
    ("Niklaus Wirth", "niklaus"),
    ("Margaret Hamilton", "margaret"),
    ("Dennis Ritchie", "dennis"),
    ("Radia Perlman", "radia"),
];

/// What belongs together: the category, beginnings and ends of titles.
pub(super) type Field = (Option<&'static str>, &'static [&'static str], &'static [&'static str]);

/// What people have to do.
pub(super) const FIELDS: &[Field] = &[
    (
        Some("Work"),
        &["Write", "Review", "Plan", "Present", "Finish", "Discuss", "Send out"],
        &["the report", "the budget", "the release notes", "the roadmap", "the contract", "the slides", "the minutes"],
    ),
    (
        Some("Home"),
        &["Repair", "Clean", "Paint", "Measure", "Tidy up"],
        &["the bicycle", "the kitchen", "the shelf", "the cellar", "the balcony", "the window frames"],
    ),
    (
        Some("Health"),
        &["Book", "Move", "Prepare for"],
        &["the dentist", "the check-up", "the eye test", "the physiotherapy", "the blood test"],
    ),
    (
        Some("Money"),
        &["Pay", "Check", "File", "Ask about"],
        &["the rent", "the insurance", "the tax return", "the electricity bill", "the savings plan"],
    ),
    (
        Some("Study"),
        &["Read", "Summarise", "Practise", "Repeat"],
        &["chapter three", "the exercises", "the lecture", "irregular verbs", "the proof of last week"],
    ),
    (
        Some("Travel"),
        &["Book", "Compare", "Print", "Look up"],
        &["the night train", "the hotel", "the ferry", "the museum tickets", "the way from the station"],
    ),
    (
        None,
        &["Call", "Write to", "Visit", "Thank", "Invite"],
        &["grandmother", "the neighbours", "an old friend", "the landlord", "the choir"],
    ),
];

/// What descriptions are made of.
pub(super) const SENTENCES: &[&str] = &[
    "Do not forget the attachments.",
    "The numbers of last month are in the shared folder.",
    "Ask first whether it is still needed.",
    "It took two hours the last time.",
    "Half of it is done already.",
    "Bring the receipt along.",
    "Best in the morning, when it is quiet.",
    "There is a list on the fridge.",
];

/// What is done day after day.
pub(super) const HABITS: &[&str] =
    &["Stretch for five minutes", "Water the plants", "Practise the piano", "Go for a walk"];
