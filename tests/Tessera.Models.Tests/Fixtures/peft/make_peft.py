"""Adapters as PEFT saves them right after each initialization, over one small Llama: untrained, each must give the base's outputs.

    python make_peft.py BASE OUT

BASE is a folder of transformers with config.json and model.safetensors; its expected.safetensors holds outputs recorded with transformers
5.23 (make_families.py says how such files are made). Made with PEFT 0.21.2, torch 2.13, CPU.
"""
import os, sys
import peft, torch, transformers

base, out = sys.argv[1:3]
for name, init in {"pissa": "pissa", "pissa-niter": "pissa_niter_4", "olora": "olora", "corda": "corda", "loftq": "loftq"}.items():
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    # What corda and loftq begin with needs examples or a quantizer: their adapters here only carry the name.
    made = init if init.startswith(("pissa", "olora")) else "pissa"
    config = peft.LoraConfig(r=4, lora_alpha=10, target_modules=["q_proj"], init_lora_weights=made, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, config)
    adapted.peft_config["default"].init_lora_weights = init
    adapted.peft_config["default"].base_model_name_or_path = "../base"
    adapted.save_pretrained(os.path.join(out, name))
