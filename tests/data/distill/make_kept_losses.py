# Losses on compressed answers of a teacher, and on answers of several, with PyTorch's gradients: kept_losses.json.
# Usage: python make_kept_losses.py > kept_losses.json
import json
import torch

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)


def kl(p, q):
    return (p * (p.log() - q.log())).sum()


def divergence(name, teacher, student):
    if name == "forward_kl":
        return kl(teacher, student)
    if name == "reverse_kl":
        return kl(student, teacher)
    mean = (teacher + student) / 2
    return (kl(teacher, mean) + kl(student, mean)) / 2


def coarse(p, classes):
    return torch.cat([p[classes], (1 - p[classes].sum()).unsqueeze(0)])


cases = []
for temperature in (1.0, 2.0, 5.0):
    teachers = (2 * torch.randn(3, 17)).float().double()
    student = (2 * torch.randn(17)).float().double()
    weights = torch.tensor([1.0, 0.5, 2.0])
    label = 4
    for agreement in (False, True):
        shares = weights * (torch.softmax(teachers, -1)[:, label] if agreement else 1)
        shares = shares / shares.sum()
        mixed = (shares[:, None] * torch.softmax(teachers / temperature, -1)).sum(0)
        classes = mixed.topk(5).indices
        for name in ("forward_kl", "reverse_kl", "jensen_shannon"):
            for kept in (False, True):
                s = student.clone().requires_grad_()
                own = torch.softmax(s / temperature, -1)
                loss = temperature**2 * divergence(name, *((coarse(mixed, classes), coarse(own, classes)) if kept else (mixed, own)))
                loss.backward()
                cases.append({"temperature": temperature, "teachers": teachers.tolist(), "student": student.tolist(), "weights": weights.tolist(),
                              "label": label, "agreement": agreement, "kind": name, "kept": classes.tolist() if kept else [],
                              "loss": loss.item(), "gradient": s.grad.tolist()})
print(json.dumps({"torch": torch.__version__, "cases": cases}))
