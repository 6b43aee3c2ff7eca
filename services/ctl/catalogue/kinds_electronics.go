package catalogue

var audioKinds = []kind{
	{
		key: "noise-cancelling-headphones", path: "Audio/Headphones", low: 89, high: 379,
		name: "{a} Noise-Cancelling Headphones, {b}",
		a:    "Wireless|Over-Ear|Foldable|Long-Battery", b: "Black|Silver|Navy",
		use: [2]string{
			"Headphones that silence engine hum and chatter on planes and trains.",
			"Noise cancelling hushes the office so that you hear only your music.",
		},
		more: [2]string{
			"Soft cushions stay comfortable for hours.",
			"A full charge lasts for two days of listening.",
		},
	},
	{
		key: "bluetooth-speakers", path: "Audio/Speakers", low: 29, high: 199,
		name: "{a} Bluetooth Speaker, {b}",
		a:    "Portable|Waterproof|Mini|Outdoor", b: "Black|Blue|Red",
		use: [2]string{
			"A wireless speaker that plays music from your phone in any room.",
			"Fills a picnic, a pool party or a kitchen with music.",
		},
		more: [2]string{
			"Two of them pair for stereo.",
			"Plays for twelve hours on one charge.",
		},
	},
	{
		key: "earbuds", path: "Audio/Earphones", low: 25, high: 179,
		name: "{a} Earbuds, {b}",
		a:    "True Wireless|Sport|Sweatproof|Low-Latency", b: "Black|White|Mint",
		use: [2]string{
			"Tiny in-ear earphones for music and calls on the move.",
			"Small wireless buds that stay put in your ears during a run.",
		},
		more: [2]string{
			"The pocket case recharges them three times.",
			"Three sizes of silicone tips are in the box.",
		},
	},
	{
		key: "turntables", path: "Audio/Hi-Fi", low: 99, high: 499,
		name: "{a} Turntable, {b}",
		a:    "Belt-Drive|Direct-Drive|Automatic|Two-Speed", b: "Walnut|Black|White",
		use: [2]string{
			"A record player for vinyl collections.",
			"Spins vinyl records with a warm, clear sound.",
		},
		more: [2]string{
			"The built-in preamp connects to any amplifier.",
			"A dust cover protects the needle.",
		},
	},
	{
		key: "microphones", path: "Audio/Recording", low: 39, high: 249,
		name: "{a} USB Microphone, {b}",
		a:    "Condenser|Cardioid|Studio|Podcast", b: "Black|White|Graphite",
		use: [2]string{
			"A microphone that records clear speech and singing on a computer.",
			"Picks up speech cleanly for streams and online lessons.",
		},
		more: [2]string{
			"A mute switch sits on the front.",
			"The desk stand and foam cover are included.",
		},
	},
}

var computerKinds = []kind{
	{
		key: "laptops", path: "Computers/Laptops", low: 449, high: 1899,
		name: "{a} Laptop, {b}",
		a:    "Slim|Business|Touchscreen|Everyday", b: "13-Inch|14-Inch|16-Inch",
		use: [2]string{
			"A portable computer for documents, video calls and browsing.",
			"A light computer with a long battery life for work on the road.",
		},
		more: [2]string{
			"The bright screen is readable outdoors.",
			"Wakes in a second and stays quiet.",
		},
	},
	{
		key: "mechanical-keyboards", path: "Computers/Keyboards & Mice", low: 49, high: 199,
		name: "{a} Mechanical Keyboard, {b}",
		a:    "Wireless|Backlit|Compact|Hot-Swappable", b: "Linear Switches|Tactile Switches|Quiet Switches",
		use: [2]string{
			"A keyboard with crisp keys for long hours of typing.",
			"Springy keys make typing fast and comfortable.",
		},
		more: [2]string{
			"The feet set two heights.",
			"Spare keycaps and a puller are in the box.",
		},
	},
	{
		key: "computer-mice", path: "Computers/Keyboards & Mice", low: 15, high: 99,
		name: "{a} Computer Mouse, {b}",
		a:    "Wireless|Vertical|Silent-Click|Rechargeable", b: "Black|White|Grey",
		use: [2]string{
			"Moves the pointer smoothly on any desk.",
			"A mouse shaped to relax the wrist while you point and scroll.",
		},
		more: [2]string{
			"Side buttons go back and forward.",
			"Works on glass and wood without a pad.",
		},
	},
	{
		key: "monitors", path: "Computers/Monitors", low: 119, high: 699,
		name: "{a} Monitor, {b}",
		a:    "4K|Curved|Flicker-Free|Colour-Accurate", b: "24-Inch|27-Inch|32-Inch",
		use: [2]string{
			"A large screen for spreadsheets, films and photo editing.",
			"A sharp desktop screen to connect to any computer.",
		},
		more: [2]string{
			"Tilts, turns and rises on its stand.",
			"One USB-C cable carries picture and power.",
		},
	},
	{
		key: "external-drives", path: "Computers/Storage", low: 49, high: 249,
		name: "{a} External Drive, {b}",
		a:    "Portable|Rugged|Encrypted|USB-C", b: "1 TB|2 TB|4 TB",
		use: [2]string{
			"An external drive for backups of photos, films and projects.",
			"Stores everything on your computer a second time, in case it fails.",
		},
		more: [2]string{
			"Survives a fall from a desk.",
			"Moves a film in seconds over its short cable.",
		},
	},
	{
		key: "wifi-routers", path: "Computers/Networking", low: 59, high: 299,
		name: "{a} Wi-Fi Router, {b}",
		a:    "Dual-Band|Tri-Band|Mesh|Gigabit", b: "AX1800|AX3000|AX5400",
		use: [2]string{
			"A router that spreads a strong wireless signal to every room.",
			"Brings reliable Wi-Fi to laptops, televisions and phones.",
		},
		more: [2]string{
			"Set up in five minutes from an app.",
			"Guests get a network of their own.",
		},
	},
	{
		key: "printers", path: "Computers/Printers", low: 79, high: 349,
		name: "{a} Printer, {b}",
		a:    "Wireless|Duplex|Compact|Energy-Saving", b: "Mono Laser|Colour Laser|Colour Inkjet",
		use: [2]string{
			"Prints, scans and copies letters, tickets and school work.",
			"A printer for the home office that puts documents on paper quickly.",
		},
		more: [2]string{
			"Takes a full pack of sheets.",
			"Prints straight from a phone.",
		},
	},
}

var phoneKinds = []kind{
	{
		key: "phone-cases", path: "Phones/Cases", low: 9, high: 39,
		name: "{a} Phone Case for {b}",
		a:    "Clear|Leather|Shockproof|Silicone", b: "6.1-Inch Phones|6.5-Inch Phones|6.7-Inch Phones",
		use: [2]string{
			"A case that protects your phone from drops, knocks and scratches.",
			"Wraps the phone in a slim shell that absorbs bumps.",
		},
		more: [2]string{
			"Raised edges keep the glass off the table.",
			"Buttons and ports stay within reach.",
		},
	},
	{
		key: "power-banks", path: "Phones/Charging", low: 19, high: 79,
		name: "{a} Power Bank, {b}",
		a:    "Slim|Fast-Charging|Rugged|Magnetic", b: "5000 mAh|10000 mAh|20000 mAh",
		use: [2]string{
			"A portable charger that refills a phone away from a wall socket.",
			"A pocket-size power supply that charges phones and tablets on the train.",
		},
		more: [2]string{
			"Four lamps show how much is left.",
			"Allowed in hand luggage on planes.",
		},
	},
	{
		key: "wall-chargers", path: "Phones/Charging", low: 12, high: 59,
		name: "{a} Wall Charger, {b}",
		a:    "USB-C|Dual-Port|Travel|Folding-Plug", b: "20 W|45 W|65 W",
		use: [2]string{
			"Plugs into a socket and charges a phone in under an hour.",
			"One small plug that charges phone, tablet and laptop.",
		},
		more: [2]string{
			"Stays cool under full load.",
			"A woven cable of two metres is included.",
		},
	},
	{
		key: "smartwatches", path: "Phones/Wearables", low: 59, high: 349,
		name: "{a} Smartwatch, {b}",
		a:    "GPS|Sport|Slim|Always-On", b: "Black|Silver|Rose Gold",
		use: [2]string{
			"Counts steps, measures heart rate and shows calls on your wrist.",
			"A watch that records workouts, sleep and pulse.",
		},
		more: [2]string{
			"The battery lasts a week.",
			"Safe to wear in the shower and the pool.",
		},
	},
	{
		key: "tripods", path: "Phones/Photography", low: 19, high: 89,
		name: "{a} Phone Tripod, {b}",
		a:    "Flexible|Aluminium|Folding|Remote-Controlled", b: "30 cm|90 cm|150 cm",
		use: [2]string{
			"Holds a phone steady for photos and video.",
			"Three sturdy legs for sharp pictures and group shots.",
		},
		more: [2]string{
			"The clamp turns upright and sideways.",
			"Folds to the size of an umbrella.",
		},
	},
}
