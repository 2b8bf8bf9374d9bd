"""Names for inboxes whose customer gives none: roles, and names from many countries, in ASCII.

209 first names and 227 last names, each once. Any first name goes with any last name.
Roles stand in the order in which they are given.
"""

# ruff: noqa: SIM905  (words are read as words)

FIRST_NAMES = tuple(
    """
    Aaron Abigail Adam Adrian Aisha Alan Albert Alejandro Alex Alice Alicia Amanda Amelia Amina
    Amir Amy Ana Andrea Andrew Angela Anika Anna Anton Antonio Aria Arjun Arthur Astrid Audrey
    Ava Barbara Beatriz Ben Bianca Brandon Brian Bruno Caleb Camila Carla Carlos Carmen Caroline
    Catherine Charles Charlotte Chen Chloe Chris Clara Claudia Connor Daniel David Deepa Diana
    Diego Dominic Edward Elena Elias Elijah Elizabeth Ella Emily Emma Eric Erik Ethan Eva Evan
    Fatima Felix Fiona Francesca Frank Gabriel George Giulia Grace Hana Hannah Hassan Helen
    Henry Hugo Ian Ibrahim Ines Ingrid Isaac Isabel Ivan Jack Jacob James Jan Jasmine Javier
    Jenna Jessica Joanna Joel John Jonas Jordan Jose Joseph Julia Julian Karen Karim Kate Keiko
    Kevin Klara Kwame Lara Laura Lea Lena Leo Lily Linda Lorenzo Louis Lucas Lucia Luis Maja
    Marco Maria Marie Mark Marta Martin Mason Mateo Maya Megan Mei Mia Michael Miguel Mila Mira
    Mohamed Monica Nadia Naomi Natalie Nathan Nia Nicole Nikolai Nina Noah Nora Oliver Olivia
    Omar Oscar Owen Patricia Paul Paula Peter Philip Priya Rachel Rafael Ravi Rebecca Ricardo
    Richard Robert Rosa Ruth Ryan Samir Samuel Sandra Sara Sean Sebastian Selma Simon Sofia
    Stefan Stella Stephen Susan Tariq Tessa Theo Thomas Tim Tobias Valeria Vera Victor Victoria
    Vikram William Yara Yuki Yusuf Zara Zoe
    """.split()
)

LAST_NAMES = tuple(
    """
    Abbott Adams Adeyemi Ahmed Alvarez Andersen Anderson Andersson Bailey Baker Banerjee Barnes
    Bauer Becker Bell Bennett Berg Bergman Bianchi Blake Boateng Borg Bradley Brooks Brown
    Bryant Burke Campbell Carlsen Carter Castillo Castro Chandra Chavez Chen Clark Cohen Collins
    Cook Cooper Costa Cruz Dahl Daniels Das Davies Delgado Diallo Diaz Dixon Dubois Duncan
    Edwards Ellis Eriksen Evans Farah Fernandez Ferrari Fischer Fisher Fleming Fletcher Foster
    Fournier Fox Fuchs Garcia Gardner Gibson Girard Gomez Gonzalez Gordon Graham Gray Green
    Griffin Gupta Haas Hall Hamilton Hansen Harper Harris Hartmann Hayashi Hayes Henderson
    Herrera Hoffmann Holm Howard Huang Hughes Hunt Hussain Ito Jackson Jansen Jenkins Jensen
    Johansson Johnson Jones Kaminski Kaplan Kapoor Karlsson Keller Kelly Kennedy Khan Kim Klein
    Kovac Kowalski Kumar Lambert Larsen Laurent Lee Lehmann Leroy Lewis Lindberg Lopez Lorenz
    Lund Marino Marshall Martinez Mason Matthews Mensah Meyer Miller Mitchell Molina Moore
    Morales Moreau Moretti Morgan Morris Murphy Murray Nakamura Navarro Nelson Nguyen Nielsen
    Novak Okafor Olsen Ortega Ortiz Owens Palmer Park Parker Patel Pereira Perez Perry Peters
    Phillips Porter Powell Price Ramos Reed Reyes Reynolds Ricci Richards Rivera Roberts
    Robinson Rogers Romano Rossi Russell Ryan Salazar Sanchez Santos Sato Schmidt Schneider
    Schulz Scott Sharma Silva Singh Smith Soto Spencer Stewart Suzuki Svensson Tanaka Taylor
    Thompson Torres Tran Turner Vargas Vasquez Wagner Walker Walsh Wang Ward Watson Weber Wells
    White Williams Wilson Wong Wood Wright Yamamoto Young Zhang Zimmermann
    """.split()
)

ROLES = tuple(
    """
    sales support hello info contact team office service help marketing partners partnerships
    business success customers accounts billing finance invoices orders purchasing procurement
    operations projects consulting advisory growth outreach development bizdev enquiries
    inquiries feedback questions welcome onboarding training education academy events community
    media press news-desk editorial communications careers jobs hiring people talent recruiting
    legal compliance privacy research product design engineering solutions delivery logistics
    shipping returns bookings reservations appointments advice insights strategy
    """.split()
)
