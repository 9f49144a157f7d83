select 产品编号 as product_id, 品名 as name, 品类 as category
from 产品
