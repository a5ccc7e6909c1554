"""Plain-PyTorch twins. G_f, G_y, G_d are modules; sources are (images, labels), targets are images."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

LR, MOMENTUM = 0.05, 0.9


def source_only(G_f, G_y, batches, steps):
    optimizer = torch.optim.SGD([*G_f.parameters(), *G_y.parameters()], LR, MOMENTUM)
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, _ = batches[k]
        optimizer.zero_grad()
        F.cross_entropy(G_y(G_f(x_s)), y_s).backward()
        optimizer.step()


def dann(G_f, G_y, G_d, batches, steps, gamma=10.0):
    """JMLR 2016, eq. 9 and 18: saddle point by two gradients, without a reversal layer at all."""
    parameters = [*G_f.parameters(), *G_y.parameters(), *G_d.parameters()]
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM)
    for k in range(steps):
        p = k / steps
        lam = 2 / (1 + math.exp(-gamma * p)) - 1
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * p) ** 0.75
        x_s, y_s, x_t = batches[k]
        f = G_f(torch.cat([x_s, x_t]))
        label = F.cross_entropy(G_y(f[: len(x_s)]), y_s)
        d = torch.sigmoid(G_d(f)[:, 0])
        domain = -torch.log(1 - d[: len(x_s)]).mean() - torch.log(d[len(x_s) :]).mean()  # source 0, target 1
        f_grads = torch.autograd.grad(label - lam * domain, list(G_f.parameters()), retain_graph=True)
        y_grads = torch.autograd.grad(label, list(G_y.parameters()), retain_graph=True)
        d_grads = torch.autograd.grad(domain, list(G_d.parameters()))
        for parameter, gradient in zip(parameters, [*f_grads, *y_grads, *d_grads], strict=True):
            parameter.grad = gradient
        optimizer.step()


def weighted_dann(G_f, G_y, G_d, batches, steps, lam=1.0):
    """Osumi et al. 2019, section 3, the pre-classifier run at every step."""
    pre_f, pre_y = copy.deepcopy(G_f), copy.deepcopy(G_y)
    parameters = [*G_f.parameters(), *G_y.parameters(), *G_d.parameters()]
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM)
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        rows = torch.arange(len(x_s))
        f = G_f(torch.cat([x_s, x_t]))
        with torch.no_grad():
            p_a = F.softmax(pre_y(pre_f(x_s)), 1)[rows, y_s]
            p_t = F.softmax(G_y(f[: len(x_s)]), 1)[rows, y_s]
            w = torch.exp(p_a) / torch.exp(p_t)
        label = F.cross_entropy(G_y(f[: len(x_s)]), y_s)
        d = torch.sigmoid(G_d(f)[:, 0])
        per_image = torch.cat([-w * torch.log(1 - d[: len(x_s)]), -torch.log(d[len(x_s) :])])
        domain = per_image.sum() / (len(x_s) + len(x_t))
        f_grads = torch.autograd.grad(label - lam * domain, list(G_f.parameters()), retain_graph=True)
        y_grads = torch.autograd.grad(label, list(G_y.parameters()), retain_graph=True)
        d_grads = torch.autograd.grad(domain, list(G_d.parameters()))
        for parameter, gradient in zip(parameters, [*f_grads, *y_grads, *d_grads], strict=True):
            parameter.grad = gradient
        optimizer.step()


def adda(M_t: nn.Module, D: nn.Module, batches, steps, lr=2e-4):
    """CVPR 2017, eq. 9; D first, then M_t against the new D."""
    M_s = copy.deepcopy(M_t)
    optimizer_d = torch.optim.Adam(D.parameters(), lr, betas=(0.5, 0.999))
    optimizer_m = torch.optim.Adam(M_t.parameters(), lr, betas=(0.5, 0.999))
    for k in range(steps):
        x_s, _, x_t = batches[k]
        d_s, d_t = torch.sigmoid(D(M_s(x_s).detach())), torch.sigmoid(D(M_t(x_t).detach()))
        optimizer_d.zero_grad()
        (-torch.log(1 - d_s).mean() - torch.log(d_t).mean()).backward()
        optimizer_d.step()
        optimizer_m.zero_grad()
        (-torch.log(1 - torch.sigmoid(D(M_t(x_t)))).mean()).backward()  # target called source
        optimizer_m.step()


def minimum_class_confusion(logits, T):
    """ECCV 2020, step by step, number by number."""
    B, K = logits.shape
    Y = [[math.exp(z / T) / sum(math.exp(other / T) for other in row) for z in row] for row in logits.tolist()]
    H = [-sum(y * math.log(y) for y in row) for row in Y]
    W = [B * (1 + math.exp(-h)) / sum(1 + math.exp(-other) for other in H) for h in H]
    C = [[sum(Y[i][j] * W[i] * Y[i][k] for i in range(B)) for k in range(K)] for j in range(K)]
    C = [[c / sum(row) for c in row] for row in C]
    return sum(C[j][k] for j in range(K) for k in range(K) if j != k) / K


def minimum_class_confusion_matrix(logits, T):
    """The same as a matrix, for its gradient; the weights carry none."""
    Y = F.softmax(logits / T, dim=1)
    W = 1 + torch.exp((Y * Y.log()).sum(dim=1).detach())
    C = Y.T @ torch.diag(len(Y) * W / W.sum()) @ Y
    C = C / C.sum(dim=1, keepdim=True)
    return (C.sum() - C.trace()) / len(C)


def mcc(G_f, G_y, batches, steps, mu=1.0, T=2.5):
    """ECCV 2020: label loss of the source plus mu times the class confusion of the target."""
    optimizer = torch.optim.SGD([*G_f.parameters(), *G_y.parameters()], LR, MOMENTUM)
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        optimizer.zero_grad()
        (F.cross_entropy(G_y(G_f(x_s)), y_s) + mu * minimum_class_confusion_matrix(G_y(G_f(x_t)), T)).backward()
        optimizer.step()


def dann_mcc(G_f, G_y, G_d, batches, steps, mu=1.0, T=2.5, gamma=10.0):
    """The saddle point of `dann` with the class confusion on the side of G_f and G_y."""
    parameters = [*G_f.parameters(), *G_y.parameters(), *G_d.parameters()]
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM)
    for k in range(steps):
        lam = 2 / (1 + math.exp(-gamma * k / steps)) - 1
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        f_s, f_t = G_f(x_s), G_f(x_t)
        label = F.cross_entropy(G_y(f_s), y_s) + mu * minimum_class_confusion_matrix(G_y(f_t), T)
        domain = -torch.log(1 - torch.sigmoid(G_d(f_s))).mean() - torch.log(torch.sigmoid(G_d(f_t))).mean()
        f_grads = torch.autograd.grad(label - lam * domain, list(G_f.parameters()), retain_graph=True)
        y_grads = torch.autograd.grad(label, list(G_y.parameters()), retain_graph=True)
        d_grads = torch.autograd.grad(domain, list(G_d.parameters()))
        for parameter, gradient in zip(parameters, [*f_grads, *y_grads, *d_grads], strict=True):
            parameter.grad = gradient
        optimizer.step()


def cdan(G_f, G_y, D, batches, steps, entropy, R_f=None, R_g=None, gamma=10.0, mu=0.0, T=2.5):
    """NeurIPS 2018, a saddle point, the errors weighted with `entropy`; R_f and R_g make the map a random one. With mu
    it has class confusion on the side of G_f and G_y, as ECCV 2020 adds it."""
    parameters = [*G_f.parameters(), *G_y.parameters(), *D.parameters()]
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM)
    for k in range(steps):
        lam = 2 / (1 + math.exp(-gamma * k / steps)) - 1
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        errors = []
        for x, is_target in ((x_s, False), (x_t, True)):
            f = G_f(x)
            g = F.softmax(G_y(f), dim=1)
            if R_f is None:
                joint = torch.stack([torch.outer(b, a).flatten() for a, b in zip(f, g, strict=True)])
            else:
                joint = torch.stack([(R_f @ a) * (R_g @ b) for a, b in zip(f, g, strict=True)]) / len(R_f) ** 0.5
            d = torch.sigmoid(D(joint)[:, 0])  # that it is the target
            error = -torch.log(d if is_target else 1 - d)
            H = -(g * g.log()).sum(dim=1)
            errors.append(((1 + torch.exp(-H)) * error if entropy else error).mean())
        label = F.cross_entropy(G_y(G_f(x_s)), y_s) + mu * minimum_class_confusion_matrix(G_y(G_f(x_t)), T)
        domain = sum(errors)
        G = [*G_f.parameters(), *G_y.parameters()]
        g_grads = torch.autograd.grad(label - lam * domain, G, retain_graph=True)
        d_grads = torch.autograd.grad(domain, list(D.parameters()))
        for parameter, gradient in zip(parameters, [*g_grads, *d_grads], strict=True):
            parameter.grad = gradient
        optimizer.step()


def mean_teacher(student, teacher, batches, views, steps, alpha, threshold, weight, balance):
    """ICLR 2018; student and teacher classify, the teacher the other view of the target. Means are of the student."""
    optimizer = torch.optim.SGD(student.parameters(), LR, MOMENTUM)
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        p = F.softmax(student(x_t), dim=1)
        q = F.softmax(teacher(views[k]), dim=1).detach()
        sure = [float(row.max() > threshold) for row in q]
        squared = sum(m * ((a - b) ** 2).mean() for m, a, b in zip(sure, p, q, strict=True)) / len(sure)
        K, mean = p.shape[1], p.mean(dim=0)
        bce = F.binary_cross_entropy(mean, torch.full((K,), 1 / K)) * K * sum(sure) / len(sure)
        optimizer.zero_grad()
        (F.cross_entropy(student(x_s), y_s) + weight * (squared + balance * bce)).backward()
        optimizer.step()
        for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
            t.data = alpha * t.data + (1 - alpha) * s.data


def self_training(student, teacher, batches, views, steps, alpha, threshold, weight, mu, T=2.5):
    """NeurIPS 2020: the class of one view, if it is sure, is the label of the other."""
    optimizer = torch.optim.SGD(student.parameters(), LR, MOMENTUM)
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        q = F.softmax(teacher(views[k]), dim=1).detach()
        z = student(x_t)
        log_p = F.log_softmax(z, dim=1)
        taught = [-log_p[i, int(row.argmax())] for i, row in enumerate(q) if row.max() > threshold]
        loss = (
            F.cross_entropy(student(x_s), y_s)
            + weight * sum(taught) / len(q)
            + mu * minimum_class_confusion_matrix(z, T)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
            t.data = alpha * t.data + (1 - alpha) * s.data


class Ratios:
    """w_y = p_T(y) / p_S(y) in plain Python, one round of EM a step."""

    def __init__(self, K, momentum):
        self.K, self.momentum = K, momentum
        self.joint = [[(i == j) / K for j in range(K)] for i in range(K)]
        self.predicted, self.ratio = [1 / K] * K, [1.0] * K

    def update(self, z_s, y_s, z_t):
        K, momentum, joint, predicted, ratio = self.K, self.momentum, self.joint, self.predicted, self.ratio
        P, Q = F.softmax(z_s, dim=1).tolist(), F.softmax(z_t, dim=1).tolist()
        for i in range(K):
            predicted[i] = momentum * predicted[i] + (1 - momentum) * sum(row[i] for row in Q) / len(Q)
            for j in range(K):
                now = sum(row[i] for row, y in zip(P, y_s, strict=True) if y == j) / len(P)
                joint[i][j] = momentum * joint[i][j] + (1 - momentum) * now
        p = [sum(joint[i][j] for i in range(K)) for j in range(K)]
        C = [[joint[i][j] / p[j] for j in range(K)] for i in range(K)]
        q = [ratio[j] * p[j] / sum(ratio[i] * p[i] for i in range(K)) for j in range(K)]
        expected = [sum(C[i][j] * q[j] for j in range(K)) for i in range(K)]
        q = [q[j] * sum(C[i][j] * predicted[i] / expected[i] for i in range(K)) for j in range(K)]
        self.ratio = [q[j] / p[j] for j in range(K)]
        return self.ratio


def iwdan_mcc(G_f, G_y, G_d, batches, steps, momentum, weigh_labels, mu=1.0, T=2.5, gamma=10.0):
    """NeurIPS 2020: `dann_mcc` with w_y = p_T(y) / p_S(y) on the source, one round of EM a step."""
    K = G_y(G_f(batches[0][0])).shape[1]
    ratios = Ratios(K, momentum)
    parameters, seen = [*G_f.parameters(), *G_y.parameters(), *G_d.parameters()], []
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM)
    for k in range(steps):
        lam = 2 / (1 + math.exp(-gamma * k / steps)) - 1
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        f_s, f_t = G_f(x_s), G_f(x_t)
        ratio = ratios.update(G_y(f_s), y_s, G_y(f_t))
        w = torch.tensor([ratio[y] for y in y_s])
        seen.append(w)
        of_labels = w if weigh_labels else torch.ones(len(y_s))
        label = -(of_labels * F.log_softmax(G_y(f_s), dim=1)[range(len(y_s)), y_s]).mean()
        label = label + mu * minimum_class_confusion_matrix(G_y(f_t), T)
        source = -torch.log(1 - torch.sigmoid(G_d(f_s))).squeeze(1)
        domain = (w * source).mean() - torch.log(torch.sigmoid(G_d(f_t))).mean()
        f_grads = torch.autograd.grad(label - lam * domain, list(G_f.parameters()), retain_graph=True)
        y_grads = torch.autograd.grad(label, list(G_y.parameters()), retain_graph=True)
        d_grads = torch.autograd.grad(domain, list(G_d.parameters()))
        for parameter, gradient in zip(parameters, [*f_grads, *y_grads, *d_grads], strict=True):
            parameter.grad = gradient
        optimizer.step()
    return seen


def iwdan_self_training(
    student, teacher, batches, views, steps, momentum, weigh_labels, alpha, threshold, weight, mu, T=2.5, gamma=10.0
):
    """`iwdan_mcc` with the labels of `self_training`."""
    G_f, G_y, G_d = student.features, student.label_head, student.domain_head
    ratios = Ratios(G_y(G_f(batches[0][0])).shape[1], momentum)
    parameters, seen = [*G_f.parameters(), *G_y.parameters(), *G_d.parameters()], []
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM)
    for k in range(steps):
        lam = 2 / (1 + math.exp(-gamma * k / steps)) - 1
        for group in optimizer.param_groups:
            group["lr"] = LR / (1 + 10 * k / steps) ** 0.75
        x_s, y_s, x_t = batches[k]
        f_s, f_t = G_f(x_s), G_f(x_t)
        z = G_y(f_t)
        ratio = torch.tensor(ratios.update(G_y(f_s), y_s, z))
        q = F.softmax(teacher(views[k]), dim=1).detach()
        log_p = F.log_softmax(z, dim=1)
        taught = [-log_p[i, int(row.argmax())] for i, row in enumerate(q) if row.max() > threshold]
        w = ratio[y_s]
        of_labels = w if weigh_labels else torch.ones(len(y_s))
        label = -(of_labels * F.log_softmax(G_y(f_s), dim=1)[range(len(y_s)), y_s]).mean()
        label = label + mu * minimum_class_confusion_matrix(z, T) + weight * sum(taught) / len(q)
        seen.append(w)
        source = -torch.log(1 - torch.sigmoid(G_d(f_s))).squeeze(1)
        domain = (w * source).mean() - torch.log(torch.sigmoid(G_d(f_t))).mean()
        f_grads = torch.autograd.grad(label - lam * domain, list(G_f.parameters()), retain_graph=True)
        y_grads = torch.autograd.grad(label, list(G_y.parameters()), retain_graph=True)
        d_grads = torch.autograd.grad(domain, list(G_d.parameters()))
        for parameter, gradient in zip(parameters, [*f_grads, *y_grads, *d_grads], strict=True):
            parameter.grad = gradient
        optimizer.step()
        for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
            t.data = alpha * t.data + (1 - alpha) * s.data
    return seen
