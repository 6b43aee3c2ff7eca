package catalogue

var kitchenKinds = []kind{
	{
		key: "chef-knives", path: "Kitchen/Knives", low: 29, high: 149,
		name: "{a} Chef's Knife, {b}",
		a:    "Forged|Damascus-Pattern|Stainless Steel|Carbon Steel", b: "15 cm|20 cm|24 cm",
		use: [2]string{
			"An all-purpose kitchen knife for slicing meat, chopping vegetables and dicing herbs.",
			"A well-balanced knife for everyday chopping, carving and slicing.",
		},
		more: [2]string{
			"Holds its edge for months between sharpenings.",
			"The full tang and riveted handle sit securely in the hand.",
		},
	},
	{
		key: "frying-pans", path: "Kitchen/Pots & Pans", low: 19, high: 89,
		name: "{a} Frying Pan, {b}",
		a:    "Non-Stick|Cast Iron|Ceramic-Coated|Carbon Steel", b: "20 cm|24 cm|28 cm",
		use: [2]string{
			"A shallow pan for frying eggs, pancakes, bacon and fish.",
			"Sears steaks, fries potatoes and browns onions evenly.",
		},
		more: [2]string{
			"Works on gas, electric and induction hobs.",
			"The long handle stays cool on the stove.",
		},
	},
	{
		key: "blenders", path: "Kitchen/Small Appliances", low: 35, high: 179,
		name: "{a} Blender, {b}",
		a:    "High-Speed|Countertop|Compact|Quiet", b: "1 Litre|1.5 Litres|2 Litres",
		use: [2]string{
			"Blends fruit, ice and yoghurt into smoothies in seconds.",
			"Purees soups, crushes ice and mixes fruit drinks and sauces.",
		},
		more: [2]string{
			"The jug and its steel blades come apart for the dishwasher.",
			"Three speeds and a pulse button give control over texture.",
		},
	},
	{
		key: "coffee-makers", path: "Kitchen/Coffee & Tea", low: 39, high: 199,
		name: "{a} Coffee Maker, {b}",
		a:    "Drip|Programmable|Stainless Steel|Thermal Carafe", b: "4 Cups|8 Cups|12 Cups",
		use: [2]string{
			"Brews fresh filter coffee from ground beans.",
			"Makes a pot of rich, aromatic coffee for the household or the office.",
		},
		more: [2]string{
			"A permanent filter saves on paper.",
			"The plate below keeps the pot warm for half an hour.",
		},
	},
	{
		key: "kettles", path: "Kitchen/Coffee & Tea", low: 25, high: 95,
		name: "{a} Electric Kettle, {b}",
		a:    "Glass|Stainless Steel|Gooseneck|Double-Walled", b: "1 Litre|1.2 Litres|1.7 Litres",
		use: [2]string{
			"Boils water in a few minutes for tea and instant soup.",
			"Heats water to the right temperature for green or black tea.",
		},
		more: [2]string{
			"Switches itself off when it boils or runs dry.",
			"Lifts off its base and pours without dripping.",
		},
	},
	{
		key: "food-containers", path: "Kitchen/Food Storage", low: 12, high: 49,
		name: "{a} Food Containers, {b}",
		a:    "Glass|Leakproof|Stackable|BPA-Free", b: "Set of 3|Set of 5|Set of 10",
		use: [2]string{
			"Keeps leftovers and lunches fresh in the fridge or freezer.",
			"Stores cut fruit, salads and leftovers airtight until the next day.",
		},
		more: [2]string{
			"Safe in the microwave and the dishwasher.",
			"The pieces nest inside each other when empty.",
		},
	},
	{
		key: "baking-tins", path: "Kitchen/Bakeware", low: 9, high: 35,
		name: "{a} Baking Tin, {b}",
		a:    "Non-Stick|Springform|Loose-Base|Heavy-Gauge", b: "18 cm|23 cm|26 cm",
		use: [2]string{
			"A round tin for sponges, cheesecakes and tarts.",
			"Bakes sponges and tarts with an even golden crust.",
		},
		more: [2]string{
			"Withstands oven heat up to 230 degrees.",
			"Releases cleanly and needs only a little butter.",
		},
	},
	{
		key: "kitchen-scales", path: "Kitchen/Measuring", low: 14, high: 45,
		name: "{a} Kitchen Scale, {b}",
		a:    "Digital|Glass-Top|Slim|Rechargeable", b: "3 kg|5 kg|10 kg",
		use: [2]string{
			"Measures flour, sugar and butter to the gram.",
			"Shows the exact grams of every ingredient in a recipe.",
		},
		more: [2]string{
			"A tare button subtracts the bowl.",
			"Switches between grams, ounces and millilitres.",
		},
	},
}
