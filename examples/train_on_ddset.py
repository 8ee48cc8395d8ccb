"""Train a network of your own on a .ddset file and test it on real images.

    ddcodec encode digits --ipc 0.9 -o digits.ddset
    python examples/train_on_ddset.py digits.ddset digits

The file holds images and soft labels in the space of its own preprocessing, so the loop is the
usual one. Only the real test images pass through ds.preprocess.
"""

import argparse

import torch
from torch import nn

import ddcodec
from ddcodec import sources

parser = argparse.ArgumentParser(description="Train on a .ddset file, test on real images.")
parser.add_argument("file", help="a .ddset file")
parser.add_argument("test", help="real data to test on: digits, a folder, an .npz")
parser.add_argument("--steps", type=int, help="gradient steps (default: the file's recipe)")
args = parser.parse_args()

ds = ddcodec.load(args.file)
recipe = ds.manifest.recipe
channels, height, width = ds.image_shape
steps = args.steps or recipe["steps"]
torch.manual_seed(0)


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(outputs, outputs),
        nn.ReLU(),
        nn.AvgPool2d(2),
    )


depth, filters = recipe["network"]["depth"], recipe["network"]["width"]
net = nn.Sequential(
    *(block(channels if i == 0 else filters, filters) for i in range(depth)),
    nn.Flatten(),
    nn.LazyLinear(len(ds.classes)),
)
net(torch.zeros(1, channels, height, width))  # the lazy layer takes its size
how = recipe["optimizer"]
if how["name"] == "sgd":
    decay = how.get("weight_decay", 0)
    optimizer = torch.optim.SGD(net.parameters(), how["lr"], momentum=0.9, weight_decay=decay)
else:
    optimizer = torch.optim.Adam(net.parameters(), how["lr"])

step = epoch = 0
while step < steps:
    for images, labels in ds.batches(recipe["batch_size"], shuffle=True, seed=0, epoch=epoch):
        loss = nn.functional.cross_entropy(net(images), labels)  # soft labels
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step == steps:
            break
    epoch += 1

test = sources.load(args.test).require_test()
net.eval()
with torch.no_grad():
    parts = torch.tensor(test.images).split(500)
    guesses = torch.cat([net(ds.preprocess(part)).argmax(1) for part in parts])
right = 100 * (guesses == torch.tensor(test.labels)).float().mean()
print(f"{len(ds)} distilled images, {steps} steps: {right:.1f} % of {len(guesses)} test images")
