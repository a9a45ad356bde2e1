//! Loading a model with the operators that ours are made of: each is compiled for several types of numbers, and all of ONNX would be
//! linked otherwise. A model with another one is refused when it is loaded, and the error names the operator.

use std::path::Path;

use rten::{LoadError, Model, ModelOptions, op_registry};

/// Loads an ONNX file.
///
/// # Errors
/// When it cannot be read, is damaged, or has an operator that is not in the list here.
pub fn load(file: &Path) -> Result<Model, LoadError> {
    options().load_file(file)
}

/// Loads the content of an ONNX file.
///
/// # Errors
/// As [`load`] has them.
pub fn load_bytes(file: Vec<u8>) -> Result<Model, LoadError> {
    options().load(file)
}

fn options() -> ModelOptions {
    let operators = op_registry!(
        // arithmetic
        Add,
        Atan,
        Clip,
        Cos,
        CumSum,
        Div,
        Erf,
        Exp,
        Floor,
        Log,
        Max,
        Min,
        Mul,
        Neg,
        Pow,
        Round,
        Sin,
        Sqrt,
        Sub,
        // comparison and choice
        And,
        Not,
        Or,
        Equal,
        Greater,
        GreaterOrEqual,
        If,
        IsNaN,
        Less,
        LessOrEqual,
        Where,
        // activation and normalisation
        Gelu,
        InstanceNormalization,
        LayerNormalization,
        LeakyRelu,
        Relu,
        Sigmoid,
        Softmax,
        Tanh,
        // products
        Conv,
        ConvInteger,
        ConvTranspose,
        Gemm,
        LSTM,
        MatMul,
        MatMulInteger,
        // whole numbers for weights
        DequantizeLinear,
        DynamicQuantizeLinear,
        QuantizeLinear,
        // over an axis
        ArgMax,
        ReduceMax,
        ReduceMean,
        ReduceSum,
        // form
        Cast,
        Concat,
        ConstantOfShape,
        Expand,
        Identity,
        Gather,
        GatherND,
        NonZero,
        Pad,
        Range,
        Reshape,
        Resize,
        ScatterND,
        Shape,
        Slice,
        Split,
        Squeeze,
        Tile,
        Transpose,
        Trilu,
        Unsqueeze
    );
    ModelOptions::with_ops(operators)
}
