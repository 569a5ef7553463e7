#!/usr/bin/env bash
# The meaning of each line of a config of C++ inference, in the official dialects: `cpp_infer_params` of PaddleClas,
# PaddleDetection and PaddleVideo, and the files without a title, `name value` in each line, of PaddlePaddle/models and
# PaddleSeg. Lines are known by their names. Sourced after common_func.sh.
#
# read_cpp_config sets RUN[model], and the fields model_dir structure images kind use_gpu enable_mkldnn cpu_threads
# batch_size use_tensorrt precision benchmark command in VALUE. VARIANT is the current combination of their lists:
#   name log     in the record, and of its log, as PaddleClas names it
#   options      words for the program, behind Global.

declare -A RUN DIALECT VALUE KEY LINE          # see common_func.sh, dialects.sh and config.sh
declare -a COMBINATIONS LINE_KEY LINE_VALUE LINE_NUMBER LINE_TEXT BLOCK_TITLE BLOCK_FIRST BLOCK_LINES FIELDS ENTRIES
declare -a VARIANTS=() # one text `device mkldnn threads batch_size tensorrt precision` each
declare -A VARIANT=()

# the lines of each dialect, as field=name
CPP_PADDLECLAS=(kind=cpp_infer_type model_dir=cls_inference_model_dir detector_dir=det_inference_model_dir
    command=inference_cmd use_gpu=use_gpu enable_mkldnn=enable_mkldnn cpu_threads=cpu_threads batch_size=batch_size
    use_tensorrt=use_tensorrt precision=precision images=image_dir benchmark=benchmark)
CPP_PADDLEDETECTION=(command=inference device=--device enable_mkldnn=--use_mkldnn cpu_threads=--cpu_threads
    batch_size=--batch_size use_tensorrt=--use_tensorrt precision=--run_mode model_dir=--model_dir
    images=--image_dir benchmark=--run_benchmark exported=--output_dir)
CPP_PADDLEVIDEO=(command=inference model_dir=infer_model use_gpu=--use_gpu enable_mkldnn=--enable_mkldnn
    cpu_threads=--cpu_threads batch_size=--rec_batch_num use_tensorrt=--use_tensorrt precision=--precision
    images=--video_dir benchmark=--benchmark)
CPP_PLAIN=(use_gpu=use_gpu cpu_threads=cpu_math_library_num_threads)

read_cpp_config() { # read and check RUN[config]
    VALUE=() KEY=() LINE=()
    read_cpp_lines "${RUN[config]}"
    print_notes
    take_lines model_name=model_name
    check_needed model_name
    check_model_name
    RUN[model]=${VALUE[model_name]}
    if [[ ${BLOCK_TITLE[0]} == plain ]]; then
        read_plain_dialect
    elif value_of cpp_infer_type >/dev/null; then
        DIALECT=([name]=paddleclas)
        read_paddleclas
    elif value_of --rec_batch_num >/dev/null; then
        DIALECT=([name]=paddlevideo)
        take_lines "${CPP_PADDLEVIDEO[@]}"
        VALUE[kind]=video VALUE[structure]=${VALUE[model_name]}.pdmodel
    elif value_of --device >/dev/null; then
        DIALECT=([name]=paddledetection)
        read_paddledetection
    else
        die "$CONFIG_FILE:$(last_line): expected the lines of PaddleClas (cpp_infer_type:…), of PaddleDetection" \
            "(--device:…) or of PaddleVideo (--rec_batch_num:…)"
    fi
    check_cpp_values
    list_cpp_variants
}

read_cpp_lines() { # FILE: as read_config; a file without a title becomes one section called plain
    local text number=0
    check_text_file "$1"
    if grep -q -m 1 '^[[:space:]]*=' "$1"; then
        read_config "$1"
        find_block cpp_infer_params >/dev/null
        return
    fi
    CONFIG_FILE=$1
    BLOCK_TITLE=(plain) BLOCK_FIRST=(0) LINE_TEXT=() LINE_NUMBER=() LINE_KEY=() LINE_VALUE=() FIELDS=() CONFIG_NOTES=()
    while IFS= read -r text || [[ -n $text ]]; do
        number=$((number + 1))
        strip "$text"
        [[ -n $REPLY && $REPLY != \#* ]] || continue
        [[ $REPLY =~ ^([A-Za-z0-9_]+)[[:space:]]+([^[:space:]].*)$ ]] ||
            die "$1:$number: expected a name and a value with a blank between, found '${REPLY:0:200}'"
        LINE_TEXT+=("$REPLY") LINE_NUMBER+=("$number") LINE_KEY+=("${BASH_REMATCH[1]}") LINE_VALUE+=("${BASH_REMATCH[2]}")
    done <"$1"
    BLOCK_LINES=("${#LINE_TEXT[@]}")
    ((${#LINE_TEXT[@]} > 0)) || die "$1:1: expected lines such as 'model_name mobilenet_v3_small', found none"
}

take_lines() { # FIELD=NAME...: sets VALUE, KEY and LINE of each field to those of the line of that name, which must be there
    local pair i
    for pair in "$@"; do
        i=$(index_of "${pair#*=}") || die "$CONFIG_FILE:$(last_line): the line '${pair#*=}' is missing"
        KEY[${pair%%=*}]=${LINE_KEY[i]} VALUE[${pair%%=*}]=${LINE_VALUE[i]} LINE[${pair%%=*}]=${LINE_NUMBER[i]}
        FIELDS+=("${pair%%=*}")
    done
}

index_of() { # NAME: print the element of LINE_KEY with that name; fails where none has it
    local i
    for i in "${!LINE_KEY[@]}"; do [[ ${LINE_KEY[i]} != "$1" ]] || { echo "$i" && return; }; done
    return 1
}

read_paddleclas() { # cls and det are one network each, shitu is a system of two
    local -a fields=("${CPP_PADDLECLAS[@]}")
    if [[ $(value_of cpp_infer_type) == shitu ]]; then
        fields=("${fields[@]/model_dir=cls_*/model_dir=feature_inference_model_dir}")
        fields=("${fields[@]/images=*/images=data_dir}")
    fi
    take_lines "${fields[@]}"
    [[ ${VALUE[kind]} != det ]] || VALUE[model_dir]=${VALUE[detector_dir]} LINE[model_dir]=${LINE[detector_dir]}
    [[ ${VALUE[kind]} =~ ^(cls|det|shitu)$ ]] ||
        die "$CONFIG_FILE:${LINE[kind]}: cpp_infer_type: expected cls, det or shitu, found '${VALUE[kind]:0:200}'"
    VALUE[structure]=inference.pdmodel
}

read_paddledetection() { # its own script exports into a folder of the model's name
    local mode device=''
    take_lines "${CPP_PADDLEDETECTION[@]}"
    VALUE[kind]=det VALUE[structure]=model.pdmodel
    is_set model_dir || VALUE[model_dir]=${VALUE[exported]%/}/${VALUE[model_name]}
    while IFS= read -r mode; do
        [[ $mode =~ ^(gpu|cpu)$ ]] ||
            die "$CONFIG_FILE:${LINE[device]}: '--device': expected gpu or cpu, found '${mode:0:200}'"
        device+=${device:+|}$([[ $mode == gpu ]] && echo True || echo False)
    done < <(split_list "${VALUE[device]}")
    VALUE[use_gpu]=$device KEY[use_gpu]=--device LINE[use_gpu]=${LINE[device]}
    # run_mode is paddle, or trt_ and a precision
    VALUE[use_tensorrt]=False
    [[ ${VALUE[precision]} != *trt_* ]] || VALUE[use_tensorrt]=True
    VALUE[precision]=${VALUE[precision]//trt_/}
    VALUE[precision]=${VALUE[precision]//paddle/fp32}
}

read_plain_dialect() { # 0 and 1 for False and True; one path for each of the model's files
    local structure i
    DIALECT=([name]=plain)
    take_lines "${CPP_PLAIN[@]}"
    i=$(index_of cls_model_path) || i=$(index_of model_path) ||
        die "$CONFIG_FILE:$(last_line): the line 'cls_model_path' is missing (or 'model_path', as PaddleSeg has it)"
    structure=${LINE_VALUE[i]} LINE[model_dir]=${LINE_NUMBER[i]} KEY[model_dir]=${LINE_KEY[i]}
    [[ $structure == */* ]] || structure=./$structure
    VALUE[model_dir]=${structure%/*} VALUE[structure]=${structure##*/}
    VALUE[kind]=cls VALUE[images]='' VALUE[benchmark]=False VALUE[batch_size]=1 VALUE[precision]=fp32
    VALUE[enable_mkldnn]=$(value_of use_mkldnn) || VALUE[enable_mkldnn]=0
    VALUE[use_tensorrt]=$(value_of use_tensorrt) || VALUE[use_tensorrt]=0
    [[ $(value_of use_fp16) != 1 ]] || VALUE[precision]=fp16
    for i in use_gpu enable_mkldnn use_tensorrt; do
        LINE[$i]=${LINE[$i]:-$(last_line)} KEY[$i]=${KEY[$i]:-$i}
        case ${VALUE[$i]} in
            0) VALUE[$i]=False ;;
            1) VALUE[$i]=True ;;
            *) die "$CONFIG_FILE:${LINE[$i]}: '${KEY[$i]}': expected 0 or 1, found '${VALUE[$i]:0:200}'" ;;
        esac
    done
}

check_cpp_values() {
    check_needed model_dir
    check_each use_gpu 'True|False' 'True or False'
    check_each enable_mkldnn 'True|False|null' 'True or False'
    check_each use_tensorrt 'True|False|null' 'True or False'
    check_each benchmark 'True|False|null' 'True or False'
    check_each precision 'fp32|fp16|int8' 'fp32, fp16 or int8'
    check_each cpu_threads '[1-9][0-9]{0,3}' 'a whole number of at least 1'
    check_each batch_size '[1-9][0-9]{0,3}' 'a whole number of at least 1'
}

check_each() { # FIELD REGEX EXPECTED: each part of its list
    local part
    while IFS= read -r part; do
        [[ ${part:-null} =~ ^($2)$ ]] ||
            die "$CONFIG_FILE:${LINE[$1]:-$(last_line)}: '${KEY[$1]:-$1}': expected $3, found '${part:0:200}'"
    done < <(split_list "${VALUE[$1]}")
}

list_cpp_variants() { # sets VARIANTS: on the CPU oneDNN and threads differ, on a GPU TensorRT and precision, as officially
    local line device
    local -a words
    local -A listed=()
    VARIANTS=()
    combine use_gpu enable_mkldnn cpu_threads batch_size use_tensorrt precision
    for line in "${COMBINATIONS[@]}"; do
        IFS=$'\t' read -r -a words <<<"${line//null/False}"
        device=cpu
        [[ ${words[0]} == False ]] || device=gpu
        if [[ $device == cpu ]]; then words[4]=False words[5]=fp32; else words[1]=False words[2]=1; fi
        line="$device ${words[*]:1}"
        [[ -n ${listed[$line]:-} ]] || VARIANTS+=("$line")
        listed[$line]=1
    done
}

choose_cpp_variant() { # one of VARIANTS: sets VARIANT
    local device mkldnn threads size tensorrt precision gpu=False name options
    read -r device mkldnn threads size tensorrt precision <<<"$1"
    if [[ $device == gpu ]]; then
        gpu=True
        name="gpu usetrt_${tensorrt}_precision_${precision}_batchsize_$size"
    else
        name="cpu usemkldnn_${mkldnn}_threads_${threads}_precision_${precision}_batchsize_$size"
    fi
    options="use_gpu=$gpu enable_mkldnn=$mkldnn cpu_num_threads=$threads batch_size=$size use_tensorrt=$tensorrt"
    options+=" precision=$precision benchmark=${VALUE[benchmark]//null/False}"
    # shellcheck disable=SC2034 # for the driver; prepare.sh sources this file, too
    VARIANT=([name]=$name [log]=cpp_infer_${name// /_} [options]=$options)
}
