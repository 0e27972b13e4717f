"""The world that make_tiny_corpus.py writes about: people, animals, places, things.

Everything here is either common knowledge (capitals, animal sounds, colours) or invented
(people, towns, shops). Tables only; no behaviour.
"""

SHE = ("Mara Anna Lily Nora Ruth Ella Ivy Rosa Clara Hana Tilda Wanda Olga Petra Sonia Greta "
       "Elsa Dora Amina Leila Yara Mina Zoe Kate Alice Vera Nina Iris Maya Bella").split()
HE = ("Tom Ben Karl Omar Hugo Finn Otto Paul Leo Max Amir Ivan Jonas Felix Oscar Sam Peter "
      "Milo Noah Emil Rafi Kenji Luis Marco Henry Arthur Walter Dario Niko Adam").split()

TOWNS = ("Millbrook Harwick Lindale Ostra Fernhill Greywater Saltmere Oakridge Rowan Thornby "
         "Eastmoor Kelby Brightwater Stonefield Windle Marlow Redcliff Ashford Pinehaven "
         "Copperton").split()

# name: (plural, class, legs, covering, verb of its sound, food, home, young)
ANIMALS = {
    "cow": ("cows", "mammal", 4, "hair", "moos", "grass", "a barn", "calf"),
    "dog": ("dogs", "mammal", 4, "fur", "barks", "meat", "a kennel", "puppy"),
    "cat": ("cats", "mammal", 4, "fur", "meows", "fish", "a house", "kitten"),
    "horse": ("horses", "mammal", 4, "hair", "neighs", "hay", "a stable", "foal"),
    "sheep": ("sheep", "mammal", 4, "wool", "bleats", "grass", "a meadow", "lamb"),
    "goat": ("goats", "mammal", 4, "hair", "bleats", "leaves", "a hillside", "kid"),
    "pig": ("pigs", "mammal", 4, "bristles", "grunts", "roots", "a sty", "piglet"),
    "lion": ("lions", "mammal", 4, "fur", "roars", "meat", "the savanna", "cub"),
    "bear": ("bears", "mammal", 4, "fur", "growls", "berries", "a den", "cub"),
    "wolf": ("wolves", "mammal", 4, "fur", "howls", "meat", "a forest", "pup"),
    "fox": ("foxes", "mammal", 4, "fur", "yelps", "mice", "a burrow", "cub"),
    "mouse": ("mice", "mammal", 4, "fur", "squeaks", "seeds", "a hole", "pup"),
    "rabbit": ("rabbits", "mammal", 4, "fur", "thumps", "carrots", "a burrow", "kit"),
    "elephant": ("elephants", "mammal", 4, "thick skin", "trumpets", "leaves", "the savanna", "calf"),
    "whale": ("whales", "mammal", 0, "smooth skin", "sings", "krill", "the ocean", "calf"),
    "bat": ("bats", "mammal", 2, "fur", "squeaks", "insects", "a cave", "pup"),
    "hen": ("hens", "bird", 2, "feathers", "clucks", "grain", "a coop", "chick"),
    "duck": ("ducks", "bird", 2, "feathers", "quacks", "water plants", "a pond", "duckling"),
    "goose": ("geese", "bird", 2, "feathers", "honks", "grass", "a lake", "gosling"),
    "owl": ("owls", "bird", 2, "feathers", "hoots", "mice", "a hollow tree", "owlet"),
    "crow": ("crows", "bird", 2, "feathers", "caws", "worms", "a nest", "chick"),
    "eagle": ("eagles", "bird", 2, "feathers", "screams", "fish", "a cliff", "eaglet"),
    "penguin": ("penguins", "bird", 2, "feathers", "brays", "fish", "the ice", "chick"),
    "pigeon": ("pigeons", "bird", 2, "feathers", "coos", "crumbs", "a loft", "squab"),
    "frog": ("frogs", "amphibian", 4, "wet skin", "croaks", "flies", "a pond", "tadpole"),
    "snake": ("snakes", "reptile", 0, "scales", "hisses", "mice", "the grass", "hatchling"),
    "turtle": ("turtles", "reptile", 4, "a shell", "hisses", "leaves", "the sea", "hatchling"),
    "lizard": ("lizards", "reptile", 4, "scales", "chirps", "insects", "a warm rock", "hatchling"),
    "bee": ("bees", "insect", 6, "fine hair", "buzzes", "nectar", "a hive", "larva"),
    "ant": ("ants", "insect", 6, "a hard shell", "makes no sound", "crumbs", "a hill", "larva"),
    "butterfly": ("butterflies", "insect", 6, "tiny scales", "makes no sound", "nectar", "a garden", "caterpillar"),
    "spider": ("spiders", "arachnid", 8, "fine hair", "makes no sound", "flies", "a web", "spiderling"),
    "salmon": ("salmon", "fish", 0, "scales", "makes no sound", "small fish", "a river", "fry"),
    "shark": ("sharks", "fish", 0, "rough skin", "makes no sound", "fish", "the sea", "pup"),
}
# From small to large, for comparisons.
BY_SIZE = ["ant", "bee", "spider", "butterfly", "mouse", "frog", "crow", "owl", "cat", "fox",
           "dog", "goat", "sheep", "wolf", "pig", "lion", "bear", "horse", "elephant", "whale"]

# country: (capital, continent)
COUNTRIES = {
    "France": ("Paris", "Europe"), "Spain": ("Madrid", "Europe"), "Italy": ("Rome", "Europe"),
    "Germany": ("Berlin", "Europe"), "Portugal": ("Lisbon", "Europe"), "Poland": ("Warsaw", "Europe"),
    "Greece": ("Athens", "Europe"), "Norway": ("Oslo", "Europe"), "Sweden": ("Stockholm", "Europe"),
    "Finland": ("Helsinki", "Europe"), "Austria": ("Vienna", "Europe"), "Ireland": ("Dublin", "Europe"),
    "Hungary": ("Budapest", "Europe"), "Japan": ("Tokyo", "Asia"), "China": ("Beijing", "Asia"),
    "Thailand": ("Bangkok", "Asia"), "Nepal": ("Kathmandu", "Asia"), "Vietnam": ("Hanoi", "Asia"),
    "Egypt": ("Cairo", "Africa"), "Kenya": ("Nairobi", "Africa"), "Ghana": ("Accra", "Africa"),
    "Morocco": ("Rabat", "Africa"), "Ethiopia": ("Addis Ababa", "Africa"), "Canada": ("Ottawa", "North America"),
    "Mexico": ("Mexico City", "North America"), "Cuba": ("Havana", "North America"),
    "Peru": ("Lima", "South America"), "Chile": ("Santiago", "South America"),
    "Brazil": ("Brasilia", "South America"), "Colombia": ("Bogota", "South America"),
    "Australia": ("Canberra", "Oceania"), "New Zealand": ("Wellington", "Oceania"),
}

# thing: colour it really has
COLOURS_OF = {
    "grass": "green", "snow": "white", "coal": "black", "a lemon": "yellow", "a ripe tomato": "red",
    "the clear sky": "blue", "milk": "white", "a carrot": "orange", "a banana": "yellow",
    "chocolate": "brown", "an elephant": "grey", "a strawberry": "red", "a plum": "purple",
    "a flamingo": "pink", "spinach": "green", "the sun at noon": "yellow", "salt": "white",
    "a raven": "black", "a pumpkin": "orange", "a cucumber": "green",
}
COLOURS = "red blue green yellow white black brown grey orange purple pink".split()

OPPOSITES = [("hot", "cold"), ("big", "small"), ("fast", "slow"), ("high", "low"), ("wet", "dry"),
             ("light", "heavy"), ("old", "young"), ("early", "late"), ("open", "closed"),
             ("full", "empty"), ("hard", "soft"), ("loud", "quiet"), ("rich", "poor"),
             ("long", "short"), ("near", "far"), ("happy", "sad"), ("clean", "dirty"),
             ("strong", "weak"), ("thick", "thin"), ("bright", "dark"), ("deep", "shallow"),
             ("sweet", "bitter"), ("sharp", "blunt"), ("brave", "afraid"), ("first", "last")]

# job: (place of work, tool, what they do, what they make or handle)
JOBS = {
    "baker": ("the bakery", "a wooden spoon", "bakes", "bread"),
    "farmer": ("the farm", "a plough", "grows", "wheat"),
    "teacher": ("the school", "a piece of chalk", "explains", "numbers"),
    "doctor": ("the hospital", "a thermometer", "treats", "patients"),
    "carpenter": ("the workshop", "a saw", "builds", "tables"),
    "fisher": ("the harbour", "a net", "catches", "fish"),
    "tailor": ("the shop", "a needle", "sews", "coats"),
    "gardener": ("the park", "a spade", "plants", "roses"),
    "smith": ("the forge", "a hammer", "shapes", "iron"),
    "painter": ("the studio", "a brush", "paints", "pictures"),
    "librarian": ("the library", "a stamp", "lends", "books"),
    "cook": ("the kitchen", "a pan", "prepares", "soup"),
    "potter": ("the pottery", "a wheel", "forms", "bowls"),
    "postman": ("the post office", "a bag", "delivers", "letters"),
    "miller": ("the mill", "a millstone", "grinds", "grain"),
    "shepherd": ("the hills", "a staff", "guards", "sheep"),
    "clockmaker": ("the tower", "a tiny screwdriver", "repairs", "clocks"),
    "pilot": ("the airport", "a map", "flies", "planes"),
}

OBJECTS = ("kite lantern key book map drum hat scarf basket bell compass mirror ring coin whistle "
           "umbrella letter candle cup button rope ladder brush flute clock box glove boot ball "
           "blanket").split()
MATERIALS = "wood glass silver copper paper leather wool clay iron silk".split()
ROOMS = ["the kitchen", "the attic", "the cellar", "the garden", "the hall", "the barn", "the library",
         "the workshop", "the bedroom", "the shed"]
SPOTS = ["under the bed", "behind the door", "on the top shelf", "inside an old chest", "beside the stove",
         "under a pile of leaves", "in a blue bucket", "behind the curtain", "between two stones",
         "on the window sill", "under the stairs", "in the apple tree"]
TRANSPORT = [("train", "the station"), ("boat", "the harbour"), ("bus", "the square"), ("cart", "the gate"),
             ("bicycle", "the yard"), ("ferry", "the pier"), ("tram", "the corner")]
WEATHER = {
    "rain": ("It rained", "The streets were wet", "an umbrella", "grey"),
    "snow": ("It snowed", "The roofs were white", "warm gloves", "white"),
    "sun": ("The sun shone", "The stones were warm", "a straw hat", "blue"),
    "wind": ("The wind blew", "The leaves flew about", "a thick scarf", "pale"),
    "fog": ("Fog lay over the fields", "Nobody could see far", "a bright lamp", "white"),
    "storm": ("A storm came up", "The shutters banged", "a strong coat", "black"),
}
FOODS = ["bread", "cheese", "apples", "pears", "honey", "soup", "plums", "nuts", "eggs", "carrots", "beans",
         "cherries", "onions", "potatoes"]
COUNTED = ["apples", "pears", "coins", "eggs", "nails", "shells", "stamps", "books", "cups", "buttons",
           "marbles", "cherries", "candles", "stones"]
FEELINGS = ["happy", "proud", "tired", "worried", "curious", "calm", "surprised", "sad", "hopeful", "angry"]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = ("January February March April May June July August September October November "
          "December").split()
SEASON_OF = dict(zip(MONTHS, ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3 + ["winter"]))
NUMBER_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
                "fifteen sixteen seventeen eighteen nineteen twenty").split()

# How-to pages: (title, things needed, steps, result)
HOWTOS = [
    ("make tea", "a kettle, a cup and some tea leaves",
     ["Fill the kettle with fresh water", "Heat the water until it boils", "Put the tea leaves into the cup",
      "Pour the hot water over the leaves", "Wait for {n} minutes", "Take out the leaves and drink slowly"],
     "The tea should smell good and taste a little bitter"),
    ("plant a tree", "a spade, a bucket of water and a young tree",
     ["Dig a hole that is {n} hands deep", "Loosen the roots with your fingers", "Set the tree upright in the hole",
      "Fill the hole with earth", "Press the earth down with your foot", "Water the tree well"],
     "After some weeks new leaves will grow"),
    ("bake bread", "flour, water, salt and yeast",
     ["Mix {n} cups of flour with a little salt", "Stir the yeast into warm water", "Pour the water into the flour",
      "Knead the dough until it is smooth", "Let the dough rest until it has grown", "Bake it in a hot oven"],
     "The crust should be brown and sound hollow"),
    ("light a lamp", "a lamp, some oil and a match",
     ["Set the lamp on a flat table", "Fill it with oil up to the line", "Trim the wick with scissors",
      "Strike the match away from you", "Hold the flame to the wick for {n} seconds", "Put the glass back on the lamp"],
     "The flame should be steady and yellow"),
    ("mend a shirt", "a needle, some thread and a button",
     ["Cut a thread as long as your arm", "Pull the thread through the needle", "Tie a knot at the end",
      "Sew through the button {n} times", "Wind the thread around the stitches", "Cut off the rest of the thread"],
     "The button should hold when you pull it"),
    ("wash a dog", "a tub, a towel and mild soap",
     ["Fill the tub with warm water", "Lift the dog gently into the tub", "Rub the soap into the fur for {n} minutes",
      "Keep the soap away from the eyes", "Rinse the fur with clean water", "Dry the dog with the towel"],
     "The dog will shake itself, so stand back"),
    ("send a letter", "paper, a pen and a stamp",
     ["Write the date at the top of the page", "Write at least {n} lines to your friend", "Sign your name at the end",
      "Fold the paper and put it into the envelope", "Write the address on the front", "Put the stamp in the corner"],
     "The letter will arrive in a few days"),
    ("paint a fence", "a brush, a pot of paint and an old coat",
     ["Clean the wood with a dry cloth", "Stir the paint for {n} minutes", "Dip only the tip of the brush",
      "Paint from the top to the bottom", "Let the first coat dry", "Paint the fence a second time"],
     "The wood will be safe from the rain"),
    ("save a file", "a computer and a name for the file",
     ["Open the menu at the top", "Choose the word save", "Pick the folder for your work",
      "Type a name with at most {n} letters", "Press the button to confirm", "Look into the folder to check it"],
     "The file will still be there tomorrow"),
    ("make vegetable soup", "carrots, potatoes, an onion and a large pot",
     ["Wash the vegetables under cold water", "Cut them into {n} pieces each", "Fry the onion in a little oil",
      "Add the vegetables and the water", "Cook the soup until everything is soft", "Season it with salt and herbs"],
     "The soup tastes even better on the next day"),
]

# Short true statements: (question, answer, statement)
FACTS = [
    ("What is frozen water called", "ice", "Frozen water is called ice"),
    ("What do bees make", "honey", "Bees make honey"),
    ("What do plants need to grow", "light and water", "Plants need light and water to grow"),
    ("What gives us light by day", "the sun", "The sun gives us light by day"),
    ("What do we use to see", "our eyes", "We use our eyes to see"),
    ("What do we use to hear", "our ears", "We use our ears to hear"),
    ("What do fish use to breathe", "gills", "Fish use gills to breathe"),
    ("What covers a bird", "feathers", "A bird is covered with feathers"),
    ("What falls from clouds", "rain", "Rain falls from clouds"),
    ("What is the largest ocean", "the Pacific", "The Pacific is the largest ocean"),
    ("What planet do we live on", "Earth", "We live on the planet Earth"),
    ("What goes around the Earth", "the moon", "The moon goes around the Earth"),
    ("What pulls things to the ground", "gravity", "Gravity pulls things to the ground"),
    ("What does a thermometer measure", "temperature", "A thermometer measures temperature"),
    ("What does a clock show", "the time", "A clock shows the time"),
    ("What is bread made from", "flour", "Bread is made from flour"),
    ("What is paper made from", "wood", "Paper is made from wood"),
    ("What is glass made from", "sand", "Glass is made from sand"),
    ("What is butter made from", "milk", "Butter is made from milk"),
    ("What comes from sheep", "wool", "Wool comes from sheep"),
    ("What does a magnet attract", "iron", "A magnet attracts iron"),
    ("What happens to ice in the sun", "it melts", "Ice melts in the sun"),
    ("What happens to water at one hundred degrees", "it boils", "Water boils at one hundred degrees"),
    ("What do lungs take in", "air", "Lungs take in air"),
    ("What does the heart pump", "blood", "The heart pumps blood"),
    ("How many days does a week have", "seven", "A week has seven days"),
    ("How many months does a year have", "twelve", "A year has twelve months"),
    ("How many hours does a day have", "twenty-four", "A day has twenty-four hours"),
    ("How many sides does a triangle have", "three", "A triangle has three sides"),
    ("How many sides does a square have", "four", "A square has four sides"),
    ("How many legs does a spider have", "eight", "A spider has eight legs"),
    ("How many fingers does a hand have", "five", "A hand has five fingers"),
    ("What tool cuts wood", "a saw", "A saw cuts wood"),
    ("What tool drives nails", "a hammer", "A hammer drives nails"),
    ("Where do we borrow books", "in a library", "We borrow books in a library"),
    ("Where do ships land", "in a harbour", "Ships land in a harbour"),
    ("Which season comes after winter", "spring", "Spring comes after winter"),
    ("Which season comes after summer", "autumn", "Autumn comes after summer"),
    ("In which direction does the sun rise", "in the east", "The sun rises in the east"),
    ("In which direction does the sun set", "in the west", "The sun sets in the west"),
]
