package catalogue

var sportsKinds = []kind{
	{
		key: "running-shoes", path: "Sports/Running", low: 59, high: 169,
		name: "{a} Running Shoes for {b}",
		a:    "Cushioned|Breathable|Road|Stability", b: "Men|Women|Juniors",
		use: [2]string{
			"Comfortable running shoes with a springy sole that softens every step.",
			"Running shoes for daily miles and race days on tarmac and park paths.",
		},
		more: [2]string{
			"The mesh upper keeps feet cool.",
			"A firm heel holds the foot in place.",
		},
	},
	{
		key: "tents", path: "Outdoor/Camping", low: 79, high: 349,
		name: "{a} Camping Tent, {b}",
		a:    "Dome|Tunnel|Pop-Up|Double-Layer", b: "2 Person|3 Person|4 Person",
		use: [2]string{
			"A camping tent that keeps rain, wind and insects out.",
			"Pitches in minutes and gives the whole group room to sleep on a camping trip.",
		},
		more: [2]string{
			"Packs down into a bag with poles and pegs.",
			"A porch at the front keeps boots out of the rain.",
		},
	},
	{
		key: "sleeping-bags", path: "Outdoor/Camping", low: 39, high: 229,
		name: "{a} Sleeping Bag, {b}",
		a:    "Down|Mummy|Lightweight|Synthetic-Fill", b: "Summer|Three-Season|Winter",
		use: [2]string{
			"Keeps you warm while you sleep on the ground in a tent or hut.",
			"A warm, padded bag to sleep in on camping trips.",
		},
		more: [2]string{
			"The full-length zip opens from both ends.",
			"Rolls up small into its own sack.",
		},
	},
	{
		key: "hiking-backpacks", path: "Outdoor/Hiking", low: 45, high: 219,
		name: "{a} Hiking Backpack, {b}",
		a:    "Ventilated|Ultralight|Weatherproof|Padded", b: "25 Litres|40 Litres|60 Litres",
		use: [2]string{
			"Carries clothes, food and gear on long mountain hikes.",
			"A hiking pack that spreads the load over shoulders and hips.",
		},
		more: [2]string{
			"A rain cover hides in the base.",
			"Side pockets hold bottles and walking poles.",
		},
	},
	{
		key: "yoga-mats", path: "Sports/Yoga & Fitness", low: 19, high: 79,
		name: "{a} Yoga Mat, {b}",
		a:    "Non-Slip|Cork|Extra-Thick|Natural Rubber", b: "Sage Green|Plum|Slate Grey",
		use: [2]string{
			"A soft mat for yoga and Pilates on hard floors.",
			"Gives knees and wrists a soft, grippy surface during yoga poses.",
		},
		more: [2]string{
			"Rolls up with the strap included.",
			"Wipes clean after a sweaty session.",
		},
	},
	{
		key: "dumbbells", path: "Sports/Yoga & Fitness", low: 15, high: 129,
		name: "{a} Dumbbells, {b}",
		a:    "Hexagonal|Rubber-Coated|Neoprene|Cast Iron", b: "Pair of 2 kg|Pair of 5 kg|Pair of 10 kg",
		use: [2]string{
			"Builds strength in arms and shoulders at home.",
			"Hand weights for home strength training.",
		},
		more: [2]string{
			"Flat sides stop them from rolling away.",
			"The textured grip is secure even with damp hands.",
		},
	},
	{
		key: "water-bottles", path: "Outdoor/Hydration", low: 12, high: 45,
		name: "{a} Water Bottle, {b}",
		a:    "Insulated|Stainless Steel|Leakproof|Wide-Mouth", b: "500 ml|750 ml|1 Litre",
		use: [2]string{
			"Keeps water cold for a full day out or at school.",
			"A refillable bottle for cold water on every trip.",
		},
		more: [2]string{
			"The cap closes tight and has a carry loop.",
			"Fits most car cup holders.",
		},
	},
	{
		key: "swimming-goggles", path: "Sports/Swimming", low: 9, high: 39,
		name: "{a} Swimming Goggles for {b}",
		a:    "Anti-Fog|Mirrored|Wide-View|Racing", b: "Men|Women|Juniors",
		use: [2]string{
			"Keeps water out of your eyes while swimming lengths.",
			"Clear sight below the surface for swimming lessons and training.",
		},
		more: [2]string{
			"Soft silicone seals sit gently on the face.",
			"The strap adjusts in a second.",
		},
	},
}

var cyclingKinds = []kind{
	{
		key: "bike-helmets", path: "Cycling/Helmets", low: 29, high: 159,
		name: "{a} Bike Helmet, {b}",
		a:    "Road|Urban|Ventilated|Mountain", b: "Small|Medium|Large",
		use: [2]string{
			"A bike helmet that absorbs the impact of a fall.",
			"Guards the skull in a crash on the daily commute or a weekend ride.",
		},
		more: [2]string{
			"A dial at the back adjusts the fit.",
			"The padding comes out for washing.",
		},
	},
	{
		key: "bike-lights", path: "Cycling/Lights", low: 15, high: 79,
		name: "{a} Bike Lights, {b}",
		a:    "Rechargeable|Magnetic|High-Power|Clip-On", b: "Front|Rear|Front and Rear Set",
		use: [2]string{
			"Bike lights that let drivers see you at night and in fog.",
			"Shines on the road ahead and warns drivers when you ride at night.",
		},
		more: [2]string{
			"Charges from any USB port.",
			"Steady and flashing modes suit city and country roads.",
		},
	},
	{
		key: "bike-locks", path: "Cycling/Security", low: 19, high: 99,
		name: "{a} Bike Lock, {b}",
		a:    "Hardened Steel|Combination|Keyed|Weatherproof", b: "80 cm Chain|110 cm Chain|140 cm Chain",
		use: [2]string{
			"A tough lock and chain that keeps your bike safe outside a shop or station.",
			"Locks frame and wheels to a rail so the bike is still there when you return.",
		},
		more: [2]string{
			"A fabric sleeve saves the paint from scratches.",
			"Resists bolt cutters and saws.",
		},
	},
	{
		key: "mountain-bikes", path: "Cycling/Bikes", low: 399, high: 1899,
		name: "{a} Mountain Bike, {b}",
		a:    "Aluminium|Hardtail|Full-Suspension|Carbon", b: "Small Frame|Medium Frame|Large Frame",
		use: [2]string{
			"A mountain bike for rocky trails and steep hills.",
			"Suspension and wide tyres roll over roots and stones on the trail.",
		},
		more: [2]string{
			"Disc brakes stop surely in the wet.",
			"Arrives nearly assembled with a tool for the pedals.",
		},
	},
	{
		key: "bike-pumps", path: "Cycling/Tools", low: 12, high: 59,
		name: "{a} Bike Pump, {b}",
		a:    "Floor|Aluminium|High-Pressure|Dual-Valve", b: "8 Bar|11 Bar|14 Bar",
		use: [2]string{
			"Pumps bike tyres up to full pressure with a few strokes.",
			"Fills tyres with air at home before a ride.",
		},
		more: [2]string{
			"The gauge is easy to read from above.",
			"Fits road and mountain valves without an adapter.",
		},
	},
}
