package catalogue

var gardenKinds = []kind{
	{
		key: "lawn-mowers", path: "Garden/Lawn", low: 119, high: 599,
		name: "{a} Lawn Mower, {b}",
		a:    "Cordless|Electric|Self-Propelled|Mulching", b: "32 cm|38 cm|42 cm",
		use: [2]string{
			"A lawn mower that cuts grass short and even.",
			"Mows the lawn quickly and collects the grass in a box.",
		},
		more: [2]string{
			"Five cutting heights are set with one lever.",
			"Folds flat against the shed wall.",
		},
	},
	{
		key: "garden-hoses", path: "Garden/Watering", low: 19, high: 89,
		name: "{a} Garden Hose, {b}",
		a:    "Expandable|Reinforced|Flexible|Anti-Kink", b: "15 m|25 m|30 m",
		use: [2]string{
			"A hose that brings water to beds and pots.",
			"Waters the garden on dry days and rinses the patio.",
		},
		more: [2]string{
			"Brass fittings close without a drip.",
			"The nozzle changes from mist to jet.",
		},
	},
	{
		key: "pruning-shears", path: "Garden/Hand Tools", low: 12, high: 59,
		name: "{a} Pruning Shears, {b}",
		a:    "Bypass|Anvil|Ratchet|Japanese Steel", b: "18 cm|20 cm|22 cm",
		use: [2]string{
			"Garden shears that cut the stems and twigs of roses and fruit trees.",
			"Pruning shears for shaping plants without tearing the bark.",
		},
		more: [2]string{
			"A catch holds the blades closed in the pocket.",
			"The spring makes light work of thick wood.",
		},
	},
	{
		key: "planters", path: "Garden/Pots & Planters", low: 12, high: 99,
		name: "{a} Planter, {b}",
		a:    "Terracotta|Wooden|Self-Watering|Zinc", b: "30 cm|45 cm|60 cm",
		use: [2]string{
			"A planter for flowers and herbs on the balcony.",
			"Gives flowers and small shrubs room for their roots.",
		},
		more: [2]string{
			"Holes in the base let extra water drain.",
			"Withstands frost and full sun.",
		},
	},
	{
		key: "bird-feeders", path: "Garden/Wildlife", low: 9, high: 49,
		name: "{a} Bird Feeder, {b}",
		a:    "Hanging|Squirrel-Proof|Wooden|Window", b: "One Port|Two Ports|Four Ports",
		use: [2]string{
			"A feeder that offers seeds and nuts to wild birds.",
			"Feeds small birds through the winter.",
		},
		more: [2]string{
			"Opens at the top for refilling.",
			"A tray below catches the husks.",
		},
	},
	{
		key: "barbecues", path: "Garden/Barbecues", low: 59, high: 499,
		name: "{a} Barbecue, {b}",
		a:    "Charcoal|Gas|Portable|Kettle", b: "40 cm|50 cm|60 cm",
		use: [2]string{
			"A barbecue for sausages, burgers and corn on warm evenings.",
			"Grills meat and vegetables with a smoky taste.",
		},
		more: [2]string{
			"The ash drawer pulls out.",
			"The thermometer in the lid shows the heat.",
		},
	},
}

var beautyKinds = []kind{
	{
		key: "moisturisers", path: "Beauty/Skin Care", low: 9, high: 59,
		name: "{a} Face Cream, {b}",
		a:    "Hydrating|Fragrance-Free|Aloe|Hyaluronic", b: "30 ml|50 ml|100 ml",
		use: [2]string{
			"A daily face cream that softens dry skin.",
			"Moisturises the skin and calms redness.",
		},
		more: [2]string{
			"Sinks in quickly and is not sticky.",
			"Tested on sensitive skin.",
		},
	},
	{
		key: "lipsticks", path: "Beauty/Lips", low: 7, high: 35,
		name: "{a} Lipstick, {b}",
		a:    "Matte|Satin|Long-Wear|Sheer", b: "Rose|Coral|Burgundy",
		use: [2]string{
			"A lipstick that colours and cares for the lips.",
			"Gives lips an intense colour that lasts until evening.",
		},
		more: [2]string{
			"Free of perfume.",
			"The slim tip draws a clean edge.",
		},
	},
	{
		key: "hair-dryers", path: "Beauty/Hair Tools", low: 25, high: 199,
		name: "{a} Hair Dryer, {b}",
		a:    "Ionic|Travel|Quiet|Professional", b: "1600 W|1800 W|2200 W",
		use: [2]string{
			"A hair dryer that dries and styles wet hair in minutes.",
			"Warm air that leaves hair dry, smooth and shiny.",
		},
		more: [2]string{
			"A cool button sets the style.",
			"The cord is three metres long.",
		},
	},
	{
		key: "sunscreens", path: "Beauty/Sun Care", low: 8, high: 35,
		name: "{a} Sunscreen, {b}",
		a:    "Mineral|Sport|Kids|Invisible", b: "SPF 30|SPF 50|SPF 50+",
		use: [2]string{
			"Sunscreen that protects skin from strong sun.",
			"Shields face and body from the sun for hours.",
		},
		more: [2]string{
			"Stays on in water and sweat.",
			"Leaves no white marks on clothes.",
		},
	},
	{
		key: "shampoos", path: "Beauty/Hair Care", low: 5, high: 29,
		name: "{a} Shampoo, {b}",
		a:    "Repairing|Volume|Anti-Dandruff|Colour-Safe", b: "250 ml|400 ml|750 ml",
		use: [2]string{
			"A shampoo that cleans hair and soothes the scalp.",
			"Washes hair gently and leaves it soft.",
		},
		more: [2]string{
			"Free of silicones and parabens.",
			"Mild enough for every day.",
		},
	},
	{
		key: "perfumes", path: "Beauty/Perfume", low: 29, high: 129,
		name: "{a} Eau de Parfum, {b}",
		a:    "Jasmine|Sandalwood|Citrus|Vanilla", b: "30 ml|50 ml|100 ml",
		use: [2]string{
			"A perfume that lingers on the skin from morning to night.",
			"An elegant perfume for every day and for special evenings.",
		},
		more: [2]string{
			"The heavy glass flacon may be refilled.",
			"A small atomiser for the bag is included.",
		},
	},
}
