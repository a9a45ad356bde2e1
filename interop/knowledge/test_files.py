"""Documents that other programs wrote: reportlab and fpdf2 (PDF), python-docx, python-pptx, openpyxl, Python's own email and csv. What a
caller asks is found in them, with its page; and PDFs hold the words that pypdf, LlamaIndex's reader, finds."""

from __future__ import annotations

import collections
import csv
import email.message
import json
import os
import re
import subprocess
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdf
import pytest
from conftest import binary
from fpdf import FPDF
from PIL import Image
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, FrameBreak, PageBreak, PageTemplate, Paragraph, SimpleDocTemplate, Table

SERVICES = [["Service", "Price", "Minutes"], ["Cut, short hair", "35 €", "30"], ["Cut, long hair", "50 €", "45"], ["Colour", "80 €", "90"]]
HOURS = "We are open from nine to six on weekdays. On Saturdays we close at two, and on Sundays the salon is closed."


def reportlab(path: Path) -> None:
    style = getSampleStyleSheet()
    story = [Paragraph("Opening hours", style["Heading1"]), Paragraph(HOURS, style["BodyText"]), PageBreak()]
    story += [Paragraph("Prices", style["Heading1"]), Table(SERVICES)]
    SimpleDocTemplate(str(path)).build(story)


def fpdf2(path: Path) -> None:
    pdf = FPDF()
    for heading, text in [("Parking", "Cars are parked behind the house, and the first hour is free."), ("Dogs", "Dogs of every size may wait in the garden.")]:
        pdf.add_page()
        pdf.set_font("Helvetica", size=20)
        pdf.cell(text=heading, new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("Helvetica", size=11)
        pdf.multi_cell(w=0, text=text)
    pdf.output(str(path))


def word(path: Path) -> None:
    document = docx.Document()
    document.add_heading("Loyalty card", 1)
    document.add_paragraph("Every tenth visit is free for owners of the card.")
    document.add_heading("Vouchers", 2)
    table = document.add_table(rows=0, cols=2)
    for row in [["Voucher", "Worth"], ["Silver", "25 €"], ["Gold", "100 €"]]:
        for cell, text in zip(table.add_row().cells, row):
            cell.text = text
    document.save(str(path))


def slides(path: Path) -> None:
    presentation = pptx.Presentation()
    for title, text in [("Welcome", "A tour of the house."), ("The terrace", "The terrace has forty seats and is heated in winter.")]:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    table = presentation.slides[1].shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
    for place, text in zip([(0, 0), (0, 1), (1, 0), (1, 1)], ["Umbrella", "Rent", "Large", "4 €"]):
        table.cell(*place).text = text
    presentation.save(str(path))


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Team"
    for row in [["Our team"], [], ["Name", "Field", "Room", "Since"], ["Ana Ruiz", "perms", 7, 2019], ["Bo Chen", "beards", 3, 2021.5]]:
        sheet.append(row)
    book.create_sheet("Secret").sheet_state = "hidden"
    book["Secret"].append(["hidden", "nobody may read this"])
    book.save(path)


def mail(path: Path) -> None:
    message = email.message.EmailMessage()
    message["Subject"], message["From"], message["To"] = "Grüße: lift is repaired", "Rosa <rosa@example.com>", "team@example.com"
    message.set_content("The lift works again; wheelchairs may use the side door.\n\nRosa\n-- \nsignature\n")
    message.add_alternative("<p>The lift works again; <span hidden>secret</span>wheelchairs may use the side door.</p>", subtype="html")
    message.add_attachment("Key,Place\nspare key,under the third pot\n".encode(), maintype="text", subtype="csv", filename="keys.csv")
    path.write_bytes(bytes(message))


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    for name, write in [("prices.pdf", reportlab), ("house.pdf", fpdf2), ("card.docx", word), ("tour.pptx", slides), ("team.xlsx", workbook), ("lift.eml", mail)]:
        write(folder / name)
    with (folder / "rooms.csv").open("w", newline="", encoding="cp1252") as file:
        csv.writer(file, delimiter=";").writerows([["Room", "Use"], ["Blue room", "washing, drying"], ["Grünes Zimmer", "waiting"]])
    (folder / "shop.json").write_text(json.dumps({"products": [{"name": "Shampoo", "price": 12}, {"name": "Comb", "price": 5, "colours": ["red", "black"]}]}))
    (folder / "broken.pdf").write_bytes((folder / "prices.pdf").read_bytes()[:300])
    return folder


def knowledge(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    # by words alone: no model is needed
    environment = {**os.environ, "ANTIPHON_MODELS": str(folder / "no-models")}
    command = [str(binary("antiphon")), "knowledge", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("question", "source", "passage"),
    [
        ("when does the salon close on saturdays", "prices.pdf › Opening hours, 1", HOURS),
        ("what does colour cost", "prices.pdf › Prices, 2", "Service: Colour; Price: 80 €; Minutes: 90"),
        ("may dogs wait in the garden", "house.pdf › Dogs, 2", "Dogs of every size may wait in the garden."),
        ("is the tenth visit free with the card", "card.docx › Loyalty card", "Every tenth visit is free"),
        ("what is the gold voucher worth", "card.docx › Loyalty card › Vouchers", "Voucher: Gold; Worth: 100 €"),
        ("how many seats has the terrace", "tour.pptx › The terrace, 2", "forty seats"),
        ("what is the rent of a large umbrella", "tour.pptx › The terrace, 2", "Umbrella: Large; Rent: 4 €"),
        ("who does beards", "team.xlsx, Team", "Name: Bo Chen; Field: beards; Room: 3; Since: 2021.5"),
        ("does the lift work for wheelchairs", "lift.eml › Grüße: lift is repaired", "The lift works again; wheelchairs may use the side door."),
        ("where is the spare key", "lift.eml, keys.csv", "Key: spare key; Place: under the third pot"),
        ("what is the grünes zimmer for", "rooms.csv", "Room: Grünes Zimmer; Use: waiting"),
        ("what colours has the comb", "shop.json", "products: name: Comb; price: 5; colours: red, black"),
    ],
)  # fmt: skip
def test_what_a_caller_asks_is_found_in_documents_of_every_kind(documents: Path, question: str, source: str, passage: str):
    done = knowledge("find", documents, question, folder=documents.parent)
    assert done.returncode == 0, done.stderr
    first = re.split(r"\n\n(?=\d+\.\d{3}  )", done.stdout)[0]
    head, text = first.split("\n", 1)
    assert head.split("  ", 1)[1] == source and passage in text, done.stdout
    assert "secret" not in done.stdout and "nobody" not in done.stdout
    assert "broken.pdf is left out" in done.stderr


def odd(folder: Path) -> None:
    """Pages as people have them: in columns, drawn sideways, turned, protected, out of a scanner."""
    half, style = A4[0] / 2, getSampleStyleSheet()
    columns = BaseDocTemplate(str(folder / "columns.pdf"), pagesize=A4)
    columns.addPageTemplates(PageTemplate(frames=[Frame(40, 40, half - 50, 760), Frame(half + 10, 40, half - 50, 760)]))
    berths = "The marina has forty berths for boats of up to twelve metres. Visitors report to the harbour master in the white hut. " * 3
    services = "Fuel is sold from eight to five. The crane lifts boats on Tuesdays, and a lift costs ninety euros. " * 3
    columns.build([Paragraph("Berths", style["Heading2"]), Paragraph(berths, style["BodyText"]), FrameBreak(), Paragraph("Services", style["Heading2"]), Paragraph(services, style["BodyText"])])
    sideways = Canvas(str(folder / "sideways.pdf"))
    sideways.translate(300, 100)
    sideways.rotate(90)
    for line, text in enumerate(["Lost keys are kept at the porter for thirty days.", "After that they are handed to the town hall."]):
        sideways.drawString(0, -16 * line, text)
    sideways.save()
    turned = Canvas(str(folder / "turned.pdf"))
    turned.setPageRotation(90)
    turned.drawString(50, 700, "The swimming pool is heated to twenty-eight degrees.")
    turned.save()
    for name, password in [("locked", "geheim"), ("printable", "")]:
        protected = Canvas(str(folder / f"{name}.pdf"), encrypt=StandardEncryption(password, ownerPassword="boss", strength=128))
        protected.drawString(50, 700, f"The safe of the {name} lodge is opened at nine.")
        protected.save()
    picture = ImageReader(Image.new("RGB", (50, 70), "white"))
    for name, written in [("scan", 0), ("half", 1)]:
        scanned = Canvas(str(folder / f"{name}.pdf"))
        for _ in range(written):
            scanned.drawString(50, 700, "The guest book lies on the piano.")
            scanned.drawImage(picture, 0, 0, 50, 70)
            scanned.showPage()
        scanned.drawImage(picture, 0, 0, 500, 700)
        scanned.showPage()
        # a page that was left empty is no loss
        scanned.showPage()
        scanned.save()


def test_odd_pages_are_read_and_what_is_not_is_said_with_the_reason(tmp_path: Path):
    folder = tmp_path / "odd"
    folder.mkdir()
    odd(folder)
    for question, source, passage in [
        ("what does a lift with the crane cost", "columns.pdf › Services, 1", "The crane lifts boats on Tuesdays, and a lift costs ninety euros."),
        ("where do visitors report", "columns.pdf › Berths, 1", "Visitors report to the harbour master in the white hut."),
        ("where are lost keys kept", "sideways.pdf, 1", "kept at the porter for thirty days. After that they are handed"),
        ("how warm is the swimming pool", "turned.pdf, 1", "twenty-eight degrees"),
        ("when is the safe of the lodge opened", "printable.pdf, 1", "opened at nine"),
        ("where does the guest book lie", "half.pdf, 1", "on the piano"),
    ]:
        done = knowledge("find", folder, question, folder=tmp_path)
        head, text = done.stdout.split("\n", 1)
        assert head.split("  ", 1)[1] == source and passage in text.split("\n\n")[0].replace("\n", " "), done.stdout
    built = knowledge("build", folder, "--out", tmp_path / "store", folder=tmp_path)
    for said in [done.stderr, built.stdout + built.stderr]:
        assert "locked.pdf is left out: it is protected with a password" in said, said
        assert "scan.pdf is left out: it has no text that can be read" in said
        assert "half.pdf is read but for page 2: pictures without text" in said
        assert said.count("half.pdf is read but") == 1, said


def words(text: str) -> collections.Counter[str]:
    return collections.Counter(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize("name", ["prices.pdf", "house.pdf"])
def test_a_pdf_has_the_words_and_page_labels_that_pypdf_finds(documents: Path, name: str):
    path = documents / name
    done = subprocess.run([str(binary("antiphon")), "__read_document", "pdf"], input=path.read_bytes(), capture_output=True, timeout=60, check=True)
    parts = json.loads(done.stdout)["Ok"]
    theirs = pypdf.PdfReader(path)
    assert [part["page"] for part in parts] == theirs.page_labels
    for part, page in zip(parts, theirs.pages):
        ours = words(" ".join(next(iter(block.values())) if isinstance(next(iter(block.values())), str) else next(iter(block.values()))[1] for block in part["blocks"]))
        missing = words(page.extract_text()) - ours
        # a table's header is said with each row, so ours may have more
        assert not missing, missing
