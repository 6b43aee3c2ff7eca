package catalogue

var furnitureKinds = []kind{
	{
		key: "sofas", path: "Furniture/Living Room", low: 299, high: 1499,
		name: "{a} Sofa, {b}",
		a:    "Velvet|Linen|Leather|Modular", b: "Two-Seater|Three-Seater|Four-Seater",
		use: [2]string{
			"A comfortable sofa where family and guests sit together.",
			"A deep, soft sofa for the living room.",
		},
		more: [2]string{
			"The cushions are filled with foam and feathers.",
			"The frame is solid beech with a ten-year guarantee.",
		},
	},
	{
		key: "bookcases", path: "Furniture/Bookcases", low: 59, high: 349,
		name: "{a} Bookcase, {b}",
		a:    "Oak|Walnut|Bamboo|Industrial", b: "3 Shelves|4 Shelves|5 Shelves",
		use: [2]string{
			"Shelves for books, plants and picture frames.",
			"A bookcase that puts a growing collection of books in order.",
		},
		more: [2]string{
			"A bracket fixes it safely to the wall.",
			"Each board bears thirty kilograms.",
		},
	},
	{
		key: "mattresses", path: "Furniture/Bedroom", low: 149, high: 899,
		name: "{a} Mattress, {b}",
		a:    "Memory Foam|Pocket Spring|Latex|Hybrid", b: "90 x 200 cm|140 x 200 cm|160 x 200 cm",
		use: [2]string{
			"A medium-firm mattress that supports the back while you sleep.",
			"Eases pressure on shoulders and hips for a good night's sleep.",
		},
		more: [2]string{
			"Try it for a hundred nights.",
			"The cover is removable and washable.",
		},
	},
	{
		key: "dining-tables", path: "Furniture/Dining Room", low: 149, high: 999,
		name: "{a} Dining Table, {b}",
		a:    "Oak|Extendable|Glass-Top|Farmhouse", b: "120 cm|160 cm|200 cm",
		use: [2]string{
			"A dining table for everyday meals and long dinners.",
			"A sturdy table where everyone has room at mealtimes.",
		},
		more: [2]string{
			"The oiled surface shrugs off spills.",
			"The legs unscrew for moving house.",
		},
	},
	{
		key: "wardrobes", path: "Furniture/Bedroom", low: 129, high: 799,
		name: "{a} Wardrobe, {b}",
		a:    "Sliding-Door|Mirrored|White|Oak-Effect", b: "100 cm|150 cm|200 cm",
		use: [2]string{
			"A wardrobe with a rail and drawers for clothes and linen.",
			"Keeps clothes and bed linen tidy behind closed doors.",
		},
		more: [2]string{
			"The doors close softly.",
			"Inner boards can be set at any height.",
		},
	},
	{
		key: "curtains", path: "Furniture/Curtains", low: 19, high: 119,
		name: "{a} Curtains, {b}",
		a:    "Blackout|Linen|Thermal|Velvet", b: "140 x 160 cm|140 x 220 cm|140 x 260 cm",
		use: [2]string{
			"Curtains that keep daylight and draughts out of the room.",
			"A pair of curtains for privacy and a dark, quiet room.",
		},
		more: [2]string{
			"Eyelets slide easily along the pole.",
			"May be ironed on a low setting.",
		},
	},
}

var lightingKinds = []kind{
	{
		key: "desk-lamps", path: "Lighting/Lamps", low: 19, high: 119,
		name: "{a} Desk Lamp, {b}",
		a:    "Dimmable|Swing-Arm|LED|Clamp-On", b: "Black|White|Brass",
		use: [2]string{
			"A bright lamp that shines on books and homework without glare.",
			"A lamp that puts bright, steady light on books and close work.",
		},
		more: [2]string{
			"The arm bends wherever it is needed.",
			"A USB port at the base charges a phone.",
		},
	},
	{
		key: "string-lights", path: "Lighting/Party Lights", low: 9, high: 45,
		name: "{a} String Lights, {b}",
		a:    "Warm White|Multicolour|Solar|Battery-Powered", b: "5 m|10 m|20 m",
		use: [2]string{
			"Fairy lights that twinkle on windows and trees at parties and weddings.",
			"A string of little lights for the holidays and other festive evenings.",
		},
		more: [2]string{
			"A timer turns them off after six hours.",
			"Rain and frost do no harm.",
		},
	},
	{
		key: "night-lights", path: "Lighting/Bedroom", low: 9, high: 35,
		name: "{a} Night Light, {b}",
		a:    "Plug-In|Rechargeable|Motion-Sensor|Colour-Changing", b: "Moon|Star|Cloud",
		use: [2]string{
			"A gentle glow that comforts little ones in the nursery at night.",
			"A soft night light beside the bed that does not disturb sleep.",
		},
		more: [2]string{
			"Stays cool to the touch.",
			"Uses less than a watt.",
		},
	},
	{
		key: "light-bulbs", path: "Lighting/Bulbs", low: 5, high: 39,
		name: "{a} Light Bulb, {b}",
		a:    "LED|Smart|Filament|Dimmable", b: "Single|Pack of 2|Pack of 4",
		use: [2]string{
			"A bulb that saves power and lasts for years.",
			"Screws into a standard socket and lights the room at once.",
		},
		more: [2]string{
			"Shows colours as they are in daylight.",
			"Does not flicker or hum.",
		},
	},
}

var cleaningKinds = []kind{
	{
		key: "vacuum-cleaners", path: "Cleaning/Vacuum Cleaners", low: 79, high: 499,
		name: "{a} Vacuum Cleaner, {b}",
		a:    "Cordless|Bagless|Quiet|Upright", b: "0.5 Litre|1 Litre|2 Litres",
		use: [2]string{
			"Sucks up dust, crumbs and pet hair from floors and carpets.",
			"A strong vacuum that cleans carpets, stairs and corners.",
		},
		more: [2]string{
			"The filter rinses clean in a minute.",
			"A crevice nozzle and a brush are included.",
		},
	},
	{
		key: "mops", path: "Cleaning/Floor Care", low: 15, high: 69,
		name: "{a} Mop, {b}",
		a:    "Spin|Spray|Flat|Microfibre", b: "One Pad|Two Pads|Four Pads",
		use: [2]string{
			"Washes kitchen and bathroom floors without bending.",
			"A mop that lifts mud and stains from floors with plain water.",
		},
		more: [2]string{
			"The pads go in the laundry.",
			"The handle extends to 130 centimetres.",
		},
	},
	{
		key: "laundry-detergents", path: "Cleaning/Laundry", low: 6, high: 29,
		name: "{a} Laundry Detergent, {b}",
		a:    "Liquid|Fragrance-Free|Sensitive|Colour-Care", b: "1 Litre|2 Litres|3 Litres",
		use: [2]string{
			"Laundry detergent that removes stains and smells from clothes.",
			"Cleans clothes, towels and bed sheets at low temperatures.",
		},
		more: [2]string{
			"Kind to skin and to rivers.",
			"One capful is enough for a full load.",
		},
	},
	{
		key: "dish-soaps", path: "Cleaning/Dishes", low: 3, high: 15,
		name: "{a} Dish Soap, {b}",
		a:    "Lemon|Fragrance-Free|Aloe|Concentrated", b: "500 ml|1 Litre|2 Litres",
		use: [2]string{
			"Cuts grease on plates, glasses and pots.",
			"Dish soap that leaves glasses and cutlery shining.",
		},
		more: [2]string{
			"Gentle to hands, even without gloves.",
			"The bottle is made of recycled plastic.",
		},
	},
	{
		key: "air-purifiers", path: "Appliances/Air", low: 79, high: 399,
		name: "{a} Air Purifier, {b}",
		a:    "Quiet|HEPA|Smart|Tower", b: "20 sq m|40 sq m|60 sq m",
		use: [2]string{
			"Cleans the air of dust, pollen and smoke.",
			"Filters pollen, pet hair and odours from the air you breathe.",
		},
		more: [2]string{
			"A lamp shows how clean the air is.",
			"Runs at a whisper overnight.",
		},
	},
	{
		key: "fans", path: "Appliances/Air", low: 25, high: 149,
		name: "{a} Fan, {b}",
		a:    "Pedestal|Tower|Oscillating|Silent", b: "3 Speeds|6 Speeds|12 Speeds",
		use: [2]string{
			"A fan that moves a pleasant breeze through the room on summer days.",
			"Brings a fresh breeze when summer nights are too warm to sleep.",
		},
		more: [2]string{
			"A timer switches it off after you fall asleep.",
			"The remote clips onto the stand.",
		},
	},
}
