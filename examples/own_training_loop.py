"""Weighted DANN (Osumi, Yamashita, Fujiyoshi, MVA 2019, section 3) in a training loop of your own.

    python examples/own_training_loop.py SOURCE TARGET STEPS

STEPS of a pre-classifier on SOURCE (class folders), as many of adapting to TARGET; prints losses and mean weight.
Imports: torch, torchvision, weighbridge (domain_loss, paper_weights, reverse_gradient)
"""

import copy
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision import datasets, models, transforms

from weighbridge import domain_loss, paper_weights, reverse_gradient


class Photos(datasets.ImageFolder):
    find_classes = staticmethod(lambda folder: (["."], {".": 0}))  # all images below the folder; nothing reads the 0


def step(pre_classifier, classifier, G_d, optimizer, x_s, y_s, x_t, strength=1.0):
    """B source images x_s of classes y_s, B' target images x_t, M = B + B'; strength is lambda, constant (sec. 3.3)."""
    with torch.no_grad():  # P_a and P_t in the same mode, and before the training pass moves batch-norm statistics
        p_a, p_t = (net.eval()(x_s).softmax(1).gather(1, y_s[:, None])[:, 0] for net in (pre_classifier, classifier))
    w = paper_weights(p_a, p_t)  # (B,), (B,) -> (B,)  eq. 5, without gradient
    G_f, G_y = classifier.train()
    f = G_f(torch.cat([x_s, x_t]))  # (M, F)
    loss_y = nn.functional.cross_entropy(G_y(f[: len(x_s)]), y_s)  # (B, K) -> scalar  eq. 4: source alone, unweighted
    d = G_d(reverse_gradient(f, strength)).squeeze(1)  # (M,)  eq. 1 and 2, for the minus in eq. 4
    loss_d = domain_loss(d[: len(x_s)], d[len(x_s) :], w)  # (B,), (B',), (B,) -> scalar  eq. 6-8: a sum over all M
    optimizer.zero_grad()
    (loss_y + loss_d).backward()
    optimizer.step()
    return w, loss_y.detach(), loss_d.detach()


if __name__ == "__main__":
    _, *folders, steps = sys.argv if len(sys.argv) == 4 else sys.exit(__doc__)
    steps, device = int(steps), "cuda" if torch.cuda.is_available() else "cpu"
    view = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    domains = datasets.ImageFolder(folders[0], view), Photos(folders[1], view)
    source, target = (DataLoader(d, 32, sampler=RandomSampler(d, num_samples=32 * steps)) for d in domains)
    G_f = nn.Sequential(*list(models.resnet18().children())[:-1], nn.Flatten())  # (M, 3, 32, 32) -> (M, 512)
    classifier = nn.Sequential(G_f, nn.Linear(512, len(domains[0].classes))).to(device)  # G_y: (M, 512) -> (M, K)
    G_d = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 1)).to(device)  # (M, 512) -> (M, 1)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01, momentum=0.9)
    for x_s, y_s in source:
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier(x_s.to(device)), y_s.to(device)).backward()
        optimizer.step()
    pre_classifier = copy.deepcopy(classifier).requires_grad_(False)  # frozen (sec. 3.1); the other goes on (sec. 3.3)
    groups = [{"params": classifier.parameters(), "lr": 0.001}, {"params": G_d.parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    for k, ((x_s, y_s), (x_t, _)) in enumerate(zip(source, target, strict=True)):
        w, loss_y, loss_d = step(pre_classifier, classifier, G_d, optimizer, *(x.to(device) for x in (x_s, y_s, x_t)))
        if k in (0, steps - 1):
            print(f"step {k + 1}: label loss {loss_y:.3f}, domain loss {loss_d:.3f}, mean weight {w.mean():.3f}")
