package catalogue

var babyKinds = []kind{
	{
		key: "strollers", path: "Baby/Strollers", low: 99, high: 599,
		name: "{a} Stroller, {b}",
		a:    "Lightweight|Folding|All-Terrain|Reclining", b: "Grey|Navy|Black",
		use: [2]string{
			"A pushchair on four wheels for walks with a baby or toddler.",
			"Wheels a sleeping baby smoothly along pavements and park paths.",
		},
		more: [2]string{
			"Folds with one hand and stands by itself.",
			"The basket below holds the shopping.",
		},
	},
	{
		key: "nappies", path: "Baby/Nappies & Changing", low: 9, high: 39,
		name: "{a} Nappies, {b}",
		a:    "Overnight|Ultra-Soft|Plant-Based|Hypoallergenic", b: "Size 2|Size 3|Size 4",
		use: [2]string{
			"Soft nappies that keep a baby dry through the night.",
			"Absorbent nappies that are gentle to a baby's bottom.",
		},
		more: [2]string{
			"A stripe turns blue when it is time for a change.",
			"Stretchy sides prevent leaks.",
		},
	},
	{
		key: "baby-monitors", path: "Baby/Safety", low: 39, high: 229,
		name: "{a} Baby Monitor, {b}",
		a:    "Video|Night-Vision|Wi-Fi|Long-Range", b: "3.5-Inch Screen|5-Inch Screen|7-Inch Screen",
		use: [2]string{
			"Lets parents see and hear a sleeping baby from another room.",
			"Shows the cot and wakes parents when the baby cries.",
		},
		more: [2]string{
			"Talk back and play lullabies at the press of a button.",
			"Shows the temperature of the room.",
		},
	},
	{
		key: "car-seats", path: "Baby/Car Seats", low: 79, high: 399,
		name: "{a} Child Car Seat, {b}",
		a:    "Rotating|Side-Impact|Isofix|Reclining", b: "0-13 kg|9-18 kg|15-36 kg",
		use: [2]string{
			"Keeps a child safe in the car with a five-point harness.",
			"A padded car seat that holds a child firmly in a collision.",
		},
		more: [2]string{
			"The headrest grows along with the child.",
			"The cover zips off for the wash.",
		},
	},
	{
		key: "baby-bottles", path: "Baby/Feeding", low: 6, high: 29,
		name: "{a} Baby Bottle, {b}",
		a:    "Anti-Colic|Glass|Wide-Neck|Slow-Flow", b: "150 ml|240 ml|330 ml",
		use: [2]string{
			"A bottle for feeding breast milk or formula.",
			"Feeds a hungry baby calmly without swallowed air.",
		},
		more: [2]string{
			"Safe to sterilise in steam.",
			"The soft teat suits newborns and older babies.",
		},
	},
}

var toyKinds = []kind{
	{
		key: "building-blocks", path: "Toys/Building Blocks", low: 15, high: 99,
		name: "{a} Building Blocks, {b}",
		a:    "Classic|Wooden|Magnetic|Jumbo", b: "50 Pieces|100 Pieces|250 Pieces",
		use: [2]string{
			"Children build towers, houses and bridges from coloured blocks.",
			"Blocks that stack and click together into anything children imagine.",
		},
		more: [2]string{
			"Comes in a tub with a lid.",
			"All edges are smooth and the paint is safe.",
		},
	},
	{
		key: "jigsaw-puzzles", path: "Toys/Puzzles", low: 9, high: 35,
		name: "{a} Jigsaw Puzzle, {b}",
		a:    "Landscape|World Map|Animal|City Skyline", b: "100 Pieces|500 Pieces|1000 Pieces",
		use: [2]string{
			"A jigsaw puzzle for quiet evenings at the table.",
			"A cardboard puzzle that shows a colourful picture when it is complete.",
		},
		more: [2]string{
			"A poster of the picture helps along.",
			"The pieces fit snugly and do not bend.",
		},
	},
	{
		key: "plush-toys", path: "Toys/Soft Toys", low: 9, high: 45,
		name: "{a} Plush {b}",
		a:    "Velvety|Giant|Weighted|Pocket-Size", b: "Bear|Rabbit|Elephant",
		use: [2]string{
			"A soft animal for little ones to cuddle at bedtime.",
			"A furry friend made of plush for cuddles and pretend play.",
		},
		more: [2]string{
			"Embroidered eyes are safe from birth.",
			"Comes out of the washing machine as good as new.",
		},
	},
	{
		key: "rc-cars", path: "Toys/Remote Control", low: 25, high: 129,
		name: "{a} Remote-Control Car, {b}",
		a:    "Off-Road|Racing|Stunt|Four-Wheel-Drive", b: "Red|Blue|Yellow",
		use: [2]string{
			"A toy car that speeds over grass and gravel by remote control.",
			"Steer, drift and jump with a remote in your hands.",
		},
		more: [2]string{
			"Two batteries give forty minutes of driving.",
			"The rubber bumper takes a knock.",
		},
	},
	{
		key: "board-games", path: "Toys/Board Games", low: 15, high: 59,
		name: "{a} Board Game, {b}",
		a:    "Strategy|Cooperative|Trivia|Word", b: "2 Players|2-4 Players|3-6 Players",
		use: [2]string{
			"A board game that brings parents and children to the table.",
			"Players take turns, make plans and outwit each other in this game.",
		},
		more: [2]string{
			"A round takes about forty minutes.",
			"The rules are explained in five minutes.",
		},
	},
}

var petKinds = []kind{
	{
		key: "dog-beds", path: "Pets/Dogs", low: 25, high: 129,
		name: "{a} Dog Bed, {b}",
		a:    "Orthopaedic|Washable|Raised|Bolster", b: "Small|Medium|Large",
		use: [2]string{
			"A soft bed where a dog sleeps and rests its joints.",
			"Gives an old or tired dog a warm place to sleep.",
		},
		more: [2]string{
			"The base does not slide on wooden floors.",
			"The cover unzips for the wash.",
		},
	},
	{
		key: "dog-leads", path: "Pets/Dogs", low: 9, high: 39,
		name: "{a} Dog Lead, {b}",
		a:    "Reflective|Rope|Leather|Retractable", b: "1.2 m|2 m|3 m",
		use: [2]string{
			"A dog lead for daily walks in town and park.",
			"Keeps a dog close and under control in the street.",
		},
		more: [2]string{
			"The padded loop is kind to hands.",
			"The metal clip turns and does not tangle.",
		},
	},
	{
		key: "cat-trees", path: "Pets/Cats", low: 39, high: 189,
		name: "{a} Cat Tree, {b}",
		a:    "Sisal|Multi-Level|Wooden|Window-Side", b: "90 cm|130 cm|170 cm",
		use: [2]string{
			"A cat tree with scratching posts, perches and a den.",
			"Lets an indoor cat climb, scratch and watch from above.",
		},
		more: [2]string{
			"A strap fixes it to the wall.",
			"Worn posts can be replaced one by one.",
		},
	},
	{
		key: "cat-litter", path: "Pets/Cats", low: 7, high: 29,
		name: "{a} Cat Litter, {b}",
		a:    "Clumping|Wood-Pellet|Low-Dust|Unscented", b: "5 kg|10 kg|15 kg",
		use: [2]string{
			"Litter that binds odours and keeps the tray dry.",
			"Absorbent cat litter that forms firm lumps and is easy to scoop.",
		},
		more: [2]string{
			"Does not stick to paws.",
			"One bag lasts a cat about a month.",
		},
	},
	{
		key: "aquariums", path: "Pets/Fish", low: 49, high: 349,
		name: "{a} Aquarium, {b}",
		a:    "Glass|Curved-Front|Starter|Rimless", b: "30 Litres|60 Litres|120 Litres",
		use: [2]string{
			"A tank with filter and lamp for tropical fish.",
			"A complete aquarium for keeping small fish and water plants.",
		},
		more: [2]string{
			"The lid opens halfway for feeding.",
			"The pump runs almost without a sound.",
		},
	},
}
