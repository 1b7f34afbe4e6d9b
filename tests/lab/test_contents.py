"""A notebook that is run and saved in JupyterLab: its file stays as it was, its outputs are there again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from lab_project import write_notebook
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.lab.contents import ProjectContents

WIDGET = "application/vnd.jupyter.widget-view+json"
PATH = "notebooks/01_study.ipynb"
THREAD = ThreadPoolExecutor(1)  # one for all: the data base of signatures keeps to the thread that opened it


@pytest.fixture
def contents(root):
    return ProjectContents(root_dir=str(root))


def wait_for(coroutine):
    """What a coroutine returns, in a thread: browser tests leave an event loop running in this one."""
    return THREAD.submit(asyncio.run, coroutine).result()


def opened(contents, path=PATH):
    return wait_for(contents.get(path, type="notebook"))["content"]


def save(contents, content, path=PATH):
    wait_for(contents.save({"type": "notebook", "format": "json", "content": content}, path))


def executed(contents):
    """The notebook as JupyterLab sends it after a run."""
    content = opened(contents)
    content.metadata["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    content.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    content.metadata["widgets"] = {"state": {}}
    cell = content.cells[1]
    cell.metadata |= {"execution": {"iopub.status.idle": "2026"}, "scrolled": True, "trusted": True}
    cell.execution_count = 2
    data = {"image/png": "cGljdHVyZQ==", "text/plain": "A chart", WIDGET: {"model_id": "gone"}}
    cell.outputs = [new_output("stream", text="words\n"), new_output("display_data", data)]
    return content


def test_running_and_saving_changes_no_byte_of_the_file(contents, root):
    before = (root / PATH).read_bytes()
    save(contents, executed(contents))
    assert (root / PATH).read_bytes() == before


def test_opened_again_it_shows_what_it_showed_but_for_widgets_without_their_kernel(contents):
    save(contents, executed(contents))
    cell = opened(contents).cells[1]
    assert cell.execution_count == 2
    assert cell.outputs[0].text == "words\n"
    assert cell.outputs[1].data == {"image/png": "cGljdHVyZQ==", "text/plain": "A chart"}


def test_its_outputs_are_trusted_again_and_those_that_others_put_there_are_not(contents, root):
    content = executed(contents)
    for cell in content.cells[:2]:
        cell.metadata["trusted"] = True
    save(contents, content)
    assert opened(contents).cells[1].metadata.trusted
    (kept,) = (root / "runs").rglob("*.ipynb")
    kept.write_text(kept.read_text().replace("words", "<script>"))
    assert not opened(contents).cells[1].metadata.trusted


def test_a_widget_that_has_no_picture_stays(contents):
    content = executed(contents)
    content.cells[1].outputs = [new_output("display_data", {WIDGET: {"model_id": "alone"}})]
    save(contents, content)
    assert opened(contents).cells[1].outputs[0].data == {WIDGET: {"model_id": "alone"}}


def test_what_the_author_changes_is_saved(contents, root):
    content = executed(contents)
    content.cells[1].source += "\nrun.seed"
    content.cells[2].metadata["tags"] = ["mine"]
    content.metadata["workbench"] = {"title": "Mine"}
    save(contents, content)
    saved = nbformat.read(root / PATH, 4)
    assert saved.cells[1].source.endswith("run.seed")
    assert saved.cells[2].metadata.tags == ["mine"]
    assert saved.metadata.workbench.title == "Mine"
    assert saved.cells[1].outputs == []
    assert opened(contents).cells[1].outputs


def test_outputs_of_code_that_was_changed_outside_are_not_shown(contents, root):
    save(contents, executed(contents))
    write_notebook(root, "01_study", "other()")
    assert all(not cell.get("outputs") for cell in opened(contents).cells)


def test_outputs_that_cannot_be_read_do_not_keep_a_notebook_shut(contents, root):
    save(contents, executed(contents))
    (kept,) = (root / "runs").rglob("*.ipynb")
    kept.write_text("{")
    assert opened(contents).cells[1].outputs == []


def test_outputs_follow_a_new_name(contents):
    save(contents, executed(contents))
    wait_for(contents.rename_file(PATH, "notebooks/02_study.ipynb"))
    assert opened(contents, "notebooks/02_study.ipynb").cells[1].outputs


def test_a_notebook_elsewhere_is_jupyters_alone(contents, root):
    (root / "runs").mkdir()
    cell = new_code_cell("1", execution_count=1, outputs=[new_output("stream", text="kept\n")])
    save(contents, new_notebook(cells=[cell]), "runs/executed.ipynb")
    assert nbformat.read(root / "runs" / "executed.ipynb", 4).cells[0].outputs[0].text == "kept\n"


def test_a_new_notebook_keeps_its_kernel_but_not_its_version(contents, root):
    content = new_notebook(cells=[new_code_cell("1")])
    content.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "x"},
    }
    save(contents, content, "notebooks/02_mine.ipynb")
    assert nbformat.read(root / "notebooks" / "02_mine.ipynb", 4).metadata == {
        "kernelspec": {"name": "python3", "display_name": "Python 3"}
    }


def test_what_this_machine_calls_its_kernel_is_no_change(contents):
    content = executed(contents)
    save(contents, content)
    assert opened(contents).metadata == {**content.metadata}


def test_a_notebook_that_leaves_the_project_takes_its_outputs_along(contents, root):
    save(contents, executed(contents))
    wait_for(contents.rename_file(PATH, "scratch.ipynb"))
    assert nbformat.read(root / "scratch.ipynb", 4).cells[1].outputs[0].text == "words\n"
    assert not [*(root / "runs").rglob("*.ipynb")]


def test_outputs_follow_a_folder(contents, root):
    (root / "notebooks" / "old").mkdir()
    save(contents, executed(contents), "notebooks/old/a.ipynb")
    wait_for(contents.rename_file("notebooks/old", "notebooks/new"))
    assert opened(contents, "notebooks/new/a.ipynb").cells[1].outputs


def test_outputs_of_a_deleted_notebook_are_deleted(contents, root):
    save(contents, executed(contents))
    contents.delete_to_trash = False
    wait_for(contents.delete(PATH))
    assert not [*(root / "runs").rglob("*.ipynb")]


def test_a_copy_has_outputs_of_its_own(contents):
    save(contents, executed(contents))
    copy = wait_for(contents.copy(PATH))["path"]
    save(contents, new_notebook(cells=[new_code_cell("1")]))
    assert opened(contents, copy).cells[1].outputs


def test_notebooks_without_ids_of_cells_keep_the_outputs_of_every_cell(contents, root):
    content = executed(contents)
    content.nbformat_minor = 4
    for cell in content.cells:
        cell.pop("id", None)
    save(contents, content)
    assert nbformat.read(root / PATH, 4).cells[1].outputs == []
    assert opened(contents).cells[1].outputs[0].text == "words\n"


def test_outputs_that_another_program_saved_since_are_shown(contents, root):
    save(contents, executed(contents))
    elsewhere = nbformat.read(root / PATH, 4)
    elsewhere.cells[1].outputs = [new_output("stream", text="later\n")]
    nbformat.write(elsewhere, root / PATH)
    assert [output.text for output in opened(contents).cells[1].outputs] == ["later\n"]


def test_a_checkpoint_brings_back_code_and_not_the_outputs_of_other_code(contents):
    save(contents, executed(contents))
    checkpoint = wait_for(contents.create_checkpoint(PATH))
    content = executed(contents)
    content.cells[1].source += "\nmore()"
    save(contents, content)
    wait_for(contents.restore_checkpoint(checkpoint["id"], PATH))
    cell = opened(contents).cells[1]
    assert "more()" not in cell.source
    assert cell.outputs == []
